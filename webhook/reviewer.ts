import { CleanObjects } from '../shared/admission/clean-objects.ts';
import { rememberingJudge } from '../shared/admission/expressions.ts';
import type { ExpressionJudge } from '../shared/admission/expressions.ts';
import { renderFinding, sortFindings } from '../shared/admission/finding.ts';
import type { Finding } from '../shared/admission/finding.ts';
import type { Lookups } from '../shared/admission/lookups.ts';
import { applyDefaults, mutate, needsFloor } from '../shared/admission/mutate.ts';
import { policyRefusal } from '../shared/admission/policy.ts';
import type { InstallationPolicy } from '../shared/admission/policy.ts';
import { accessQuestions } from '../shared/admission/state/access-questions.ts';
import { stateRulesOf } from '../shared/admission/state/registry.ts';
import { validateState } from '../shared/admission/state/validate-state.ts';
import { validate } from '../shared/admission/validate.ts';
import { GROUP } from '../shared/api/group.ts';
import { kindByName } from '../shared/api/kinds.ts';
import { KollectError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { Authorizer } from './authorizer.ts';
import { badReview, forbiddenObject, internalFault, invalidObject, lookupFault, objectName } from './denial.ts';
import type { Lookup } from './metrics.ts';
import type { AdmissionRequest, AdmissionResponse, DenialStatus } from './protocol.ts';
import { denied, isObject } from './protocol.ts';

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
 * needs no case of its own, and no state but what it remembers of expressions and of objects that are as they should be.
 *
 * @example createReviewer({ installation, state, log })('validate', request) // { uid: request.uid, allowed: true }
 */
export function createReviewer(options: ReviewerOptions): (phase: Phase, request: AdmissionRequest) => Answer {
  const judgement = { ...options, expressions: rememberingJudge(), clean: new CleanObjects() };
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

type Judgement = ReviewerOptions & { expressions: ExpressionJudge; clean: CleanObjects };

function fillIn(request: AdmissionRequest, judgement: Judgement): Answer {
  if (request.operation === 'DELETE' || isDeleting(request)) return admitted(request);
  const { kind, object } = request;
  // Filling in would need objects that may be out of sight where the kind is refused; judging says why it is.
  if (policyRefusal(kind.kind, judgement.installation) !== undefined) return admitted(request);
  const fill = (lookups?: Lookups): AdmissionResponse => {
    const patch = mutate(kind.kind, object, lookups);
    if (patch.length === 0) return admitted(request);
    return { uid: request.uid, allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
  };
  return needsFloor(kind.kind, object) ? withState(request, judgement, fill) : fill();
}

function judge(request: AdmissionRequest, judgement: Judgement): Answer {
  const { installation, expressions, clean, state } = judgement;
  const { kind, operation, object, oldObject } = request;
  if (operation === 'DELETE') return admitted(request);
  if (kind.group !== GROUP || kindByName(kind.kind) === undefined) return refuse(request, judgement, badReview(`kind ${JSON.stringify(`${kind.kind}.${kind.group}`.slice(0, 300))} is not one of ${GROUP}`));
  if (!isObject(object)) return refuse(request, judgement, badReview('the request has no object'));
  // Whoever removes finalizers must not be stopped by a spec that is no longer valid.
  if (isDeleting(request)) return admitted(request);
  const policy = policyRefusal(kind.kind, installation);
  if (policy !== undefined) return refuse(request, judgement, forbiddenObject(request, policy));

  // What is stored may lack the interval that this update was given on its way.
  const old = operation === 'UPDATE' && isObject(oldObject) ? (needsFloor(kind.kind, oldObject) ? applyDefaults(kind.kind, oldObject, state.current) : oldObject) : undefined;
  const findings = validate(kind.kind, object, {
    policy: installation.addresses,
    expressions,
    clean,
    namespace: request.namespace,
    ...(installation.maxExportBytes === undefined ? {} : { maxExportBytes: installation.maxExportBytes }),
    ...(old === undefined ? {} : { old }),
  });
  // Other objects are looked at only when this one is right by itself: that needs no cluster, and is answered without one.
  // What the schema refuses and is tolerated, because it is stored so and unchanged, has no shape that it could be compared by.
  if (hasErrors(findings) || !needsState(kind.kind, judgement) || findings.some(({ rule }) => rule === 'schema')) return answer(request, judgement, findings);
  return withState(request, judgement, (lookups) => judgeByState(request, judgement, { findings, lookups, old }));
}

function judgeByState(request: AdmissionRequest, judgement: Judgement, { findings, lookups, old }: { findings: Finding[]; lookups: Lookups; old: unknown }): Answer {
  const { kind, object, namespace, userInfo, deadline } = request;
  const found = validateState(kind.kind, object, { lookups, namespace, old });
  const all = found.length === 0 ? findings : sortFindings([...findings, ...found]);
  if (hasErrors(all) || judgement.authorize === undefined) return answer(request, judgement, all);
  const questions = accessQuestions(kind.kind, object, old, lookups);
  if (questions.length === 0) return answer(request, judgement, all);
  return judgement.authorize(userInfo, questions, deadline).then(
    (refusals) => answer(request, judgement, sortFindings([...all, ...refusals])),
    (error: unknown) => {
      judgement.lookupFailed?.('access');
      throw error;
    },
  );
}

/** Whether a kind is judged by other objects. What they only advise is said when they are known, and never waited for. */
function needsState(kind: string, { state, authorize }: Judgement): boolean {
  const rules = stateRulesOf(kind);
  return rules.some(({ advises }) => advises !== true) || (kind === 'KollectProfile' && authorize !== undefined) || (rules.length > 0 && state.current !== undefined);
}

function withState(request: AdmissionRequest, { state, lookupFailed }: Judgement, use: (lookups: Lookups) => Answer): Answer {
  if (state.current !== undefined) return use(state.current);
  return state.known(request.deadline).then(use, (error: unknown) => {
    lookupFailed?.('state');
    throw error;
  });
}

function answer(request: AdmissionRequest, judgement: Judgement, findings: readonly Finding[]): AdmissionResponse {
  if (findings.length === 0) return admitted(request);
  const errors = findings.filter(({ severity }) => severity === 'error');
  const warnings = bounded(findings.filter(({ severity }) => severity === 'warning').map((finding) => shorten(renderFinding(finding))));
  if (errors.length > 0) return refuse(request, judgement, invalidObject(request, errors), warnings, errors[0]?.field);
  return { ...admitted(request), warnings };
}

function refuse(request: AdmissionRequest, { log }: Judgement, status: DenialStatus, warnings: string[] = [], field?: string): AdmissionResponse {
  log.info('denied', { ...identify(request), user: request.userInfo.username, operation: request.operation, dryRun: request.dryRun, code: status.code, field });
  return denied(request, status, warnings);
}

function admitted({ uid }: AdmissionRequest): AdmissionResponse {
  return { uid, allowed: true };
}

function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some(({ severity }) => severity === 'error');
}

function isDeleting({ object }: AdmissionRequest): boolean {
  return isObject(object) && isObject(object.metadata) && typeof object.metadata.deletionTimestamp === 'string';
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
