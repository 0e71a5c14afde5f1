import { rememberingJudge } from '../shared/admission/expressions.ts';
import type { ExpressionJudge } from '../shared/admission/expressions.ts';
import { renderFinding } from '../shared/admission/finding.ts';
import type { Finding } from '../shared/admission/finding.ts';
import { isBeingDeleted, judgeObject } from '../shared/admission/judge-object.ts';
import type { Lookups } from '../shared/admission/lookups.ts';
import { mutate, needsFloor } from '../shared/admission/mutate.ts';
import { policyFinding } from '../shared/admission/policy.ts';
import type { InstallationPolicy } from '../shared/admission/policy.ts';
import type { AccessQuestion } from '../shared/admission/state/access-questions.ts';
import { GROUP, VERSION } from '../shared/api/group.ts';
import { kindByName } from '../shared/api/kinds.ts';
import { KollectError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { isObject } from '../shared/values.ts';
import type { Authorizer } from './authorizer.ts';
import { badReview, internalFault, invalidObject, lookupFault, objectName, oversizedObject } from './denial.ts';
import type { Lookup } from './metrics.ts';
import type { AdmissionRequest, AdmissionResponse, DenialStatus } from './protocol.ts';
import { denied } from './protocol.ts';

/** `mutate` fills in what is left out, `validate` judges. The API server calls both, in this order. */
export type Phase = 'mutate' | 'validate';

/** Other objects of the cluster. */
export interface State {
  /** What is known, at once; undefined as long as nothing is. */
  current: Lookups | undefined;
  /** What is known, as soon as it is; rejects with `KOL_ADMISSION_LOOKUP` at the deadline, a time of `performance.now()`. */
  known(deadline: number): Promise<Lookups>;
}

export interface ReviewerOptions {
  installation: InstallationPolicy;
  state: State;
  /** Undefined: nobody is asked for the rights of users. */
  authorize?: Authorizer | undefined;
  /** A review could not learn what it needs. */
  lookupFailed?: (lookup: Lookup) => void;
  log: Logger;
}

type Answer = AdmissionResponse | Promise<AdmissionResponse>;

/**
 * Answers admission requests: at once where everything is known, else as soon as it is. Never rejects. Has no side effect but the log, so `dryRun`
 * needs no case of its own, and no state but what it remembers of expressions.
 *
 * @example createReviewer({ installation, state, log })('validate', request) // { uid: request.uid, allowed: true }
 */
export function createReviewer(options: ReviewerOptions): (phase: Phase, request: AdmissionRequest) => Answer {
  const judgement = { ...options, expressions: rememberingJudge() };
  return (phase, request) => {
    const fault = (error: unknown): AdmissionResponse => {
      if (error instanceof KollectError && error.code === 'KOL_ADMISSION_LOOKUP') {
        options.log.warn('cannot judge', { ...identify(request), phase, error });
        return denied(request, lookupFault(request, error.message));
      }
      // A fault of ours refuses one object; it must not take the process or the connection of other reviews with it.
      options.log.error('review failed', { ...identify(request), phase, error });
      return denied(request, internalFault(request));
    };
    try {
      const answer = phase === 'mutate' ? fillIn(request, judgement) : judge(request, judgement);
      return answer instanceof Promise ? answer.catch(fault) : answer;
    } catch (error) {
      return fault(error);
    }
  };
}

type Judgement = ReviewerOptions & { expressions: ExpressionJudge };

function fillIn(request: AdmissionRequest, judgement: Judgement): Answer {
  const { kind, object, namespace, operation } = request;
  if (!isStoring(operation) || isBeingDeleted(object)) return admitted(request);
  if (request.isObjectLeftOut) return refuse(request, judgement, oversizedObject(request));
  // Filling in would need objects that may be out of sight where the kind is refused; judging says why it is.
  if (policyFinding(kind.kind, judgement.installation) !== undefined) return admitted(request);
  const fill = (lookups?: Lookups): AdmissionResponse => {
    const patch = mutate(kind.kind, object, { lookups, namespace });
    if (patch.length === 0) return admitted(request);
    return { uid: request.uid, allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
  };
  if (!needsFloor(kind.kind, object)) return fill();
  const { current } = judgement.state;
  return current === undefined ? known(request, judgement).then(fill) : fill(current);
}

function judge(request: AdmissionRequest, judgement: Judgement): Answer {
  const { installation, expressions, state, authorize } = judgement;
  const { kind, operation, object, oldObject, namespace } = request;
  if (operation === 'DELETE') return admitted(request);
  if (!isStoring(operation)) return refuse(request, judgement, badReview(`operation ${JSON.stringify(operation.slice(0, 100))} is not one of CREATE, UPDATE and DELETE`));
  if (kind.group !== GROUP || kind.version !== VERSION || kindByName(kind.kind) === undefined) {
    return refuse(request, judgement, badReview(`kind ${JSON.stringify(`${kind.kind}.${kind.version}.${kind.group}`.slice(0, 300))} is not one of ${GROUP}/${VERSION}`));
  }
  if (request.isObjectLeftOut) return refuse(request, judgement, oversizedObject(request));
  if (!isObject(object)) return refuse(request, judgement, badReview('the request has no object'));
  const subject = { kind: kind.kind, object, namespace, old: operation === 'UPDATE' && isObject(oldObject) ? oldObject : undefined };
  const findings = judgeObject(subject, {
    installation,
    expressions,
    lookups: state.current,
    known: () => known(request, judgement),
    authorize: authorize && ((questions: readonly AccessQuestion[]) => failing('access', judgement, authorize(request.userInfo, questions, request.deadline))),
  });
  return findings instanceof Promise ? findings.then((found) => answer(request, judgement, found)) : answer(request, judgement, findings);
}

function isStoring(operation: string): boolean {
  return operation === 'CREATE' || operation === 'UPDATE';
}

function known({ deadline }: AdmissionRequest, judgement: Judgement): Promise<Lookups> {
  return failing('state', judgement, judgement.state.known(deadline));
}

/** Counts a lookup that fails. */
async function failing<T>(lookup: Lookup, { lookupFailed }: Judgement, looked: Promise<T>): Promise<T> {
  try {
    return await looked;
  } catch (error) {
    lookupFailed?.(lookup);
    throw error;
  }
}

function answer(request: AdmissionRequest, judgement: Judgement, findings: readonly Finding[]): AdmissionResponse {
  if (findings.length === 0) return admitted(request);
  const errors = findings.filter(({ severity }) => severity === 'error');
  const warnings = bounded(findings.filter(({ severity }) => severity === 'warning').map((finding) => shorten(renderFinding(finding))));
  if (errors.length > 0) return refuse(request, judgement, invalidObject(request, errors), warnings, errors[0]);
  return { ...admitted(request), warnings };
}

function refuse(request: AdmissionRequest, { log }: Judgement, status: DenialStatus, warnings: string[] = [], { field, rule }: Partial<Finding> = {}): AdmissionResponse {
  log.info('denied', { ...identify(request), user: request.userInfo.username, operation: request.operation, dryRun: request.dryRun, code: status.code, field, rule });
  return denied(request, status, warnings);
}

function admitted({ uid }: AdmissionRequest): AdmissionResponse {
  return { uid, allowed: true };
}

function identify(request: AdmissionRequest) {
  return { uid: request.uid, kind: request.kind.kind, namespace: request.namespace, name: objectName(request) };
}

/** The API server may cut longer warnings off, and drops all of them above this many characters together, those of other webhooks included. */
const maxWarningLength = 256;
const maxWarningsLength = 3500;

function bounded(warnings: string[]): string[] {
  let left = maxWarningsLength;
  const fitting = warnings.filter((warning) => (left -= warning.length) >= 0);
  return fitting.length === warnings.length ? warnings : [...fitting, `and ${warnings.length - fitting.length} more warnings; kollect lint shows all`];
}

function shorten(text: string): string {
  return text.length > maxWarningLength ? `${text.slice(0, maxWarningLength - 1)}…` : text;
}
