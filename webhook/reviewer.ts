import { rememberingJudge } from '../shared/admission/expressions.ts';
import type { ExpressionJudge } from '../shared/admission/expressions.ts';
import { renderFinding } from '../shared/admission/finding.ts';
import { mutate } from '../shared/admission/mutate.ts';
import { policyRefusal } from '../shared/admission/policy.ts';
import type { InstallationPolicy } from '../shared/admission/policy.ts';
import { validate } from '../shared/admission/validate.ts';
import { GROUP } from '../shared/api/group.ts';
import { kindByName } from '../shared/api/kinds.ts';
import type { Logger } from '../shared/log.ts';
import { badReview, forbiddenObject, internalFault, invalidObject, objectName } from './denial.ts';
import type { AdmissionRequest, AdmissionResponse, DenialStatus } from './protocol.ts';
import { denied, isObject } from './protocol.ts';

/** `mutate` fills in what is left out, `validate` judges. The API server calls both, in this order. */
export type Phase = 'mutate' | 'validate';

export interface ReviewerOptions {
  installation: InstallationPolicy;
  log: Logger;
}

/**
 * Answers admission requests. Has no side effect but the log, so `dryRun` needs no case of its own, and no state but remembered expressions.
 *
 * @example createReviewer({ installation, log })('validate', request) // { uid: request.uid, allowed: true }
 */
export function createReviewer(options: ReviewerOptions): (phase: Phase, request: AdmissionRequest) => AdmissionResponse {
  const judgement = { ...options, expressions: rememberingJudge() };
  return (phase, request) => {
    try {
      return phase === 'mutate' ? fillIn(request) : judge(request, judgement);
    } catch (error) {
      // A fault of ours refuses one object; it must not take the process or the connection of other reviews with it.
      options.log.error('review failed', { ...identify(request), phase, error });
      return denied(request, internalFault(request));
    }
  };
}

function fillIn(request: AdmissionRequest): AdmissionResponse {
  if (isDeleting(request)) return { uid: request.uid, allowed: true };
  const patch = mutate(request.kind.kind, request.object);
  if (patch.length === 0) return { uid: request.uid, allowed: true };
  return { uid: request.uid, allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
}

function judge(request: AdmissionRequest, { installation, log, expressions }: ReviewerOptions & { expressions: ExpressionJudge }): AdmissionResponse {
  const { kind, operation } = request;
  if (operation === 'DELETE') return { uid: request.uid, allowed: true };
  const refuse = (status: DenialStatus, warnings: string[] = [], field?: string) => {
    log.info('denied', { ...identify(request), user: request.userInfo.username, operation, dryRun: request.dryRun, code: status.code, field });
    return denied(request, status, warnings);
  };
  if (kind.group !== GROUP || kindByName(kind.kind) === undefined) return refuse(badReview(`kind ${JSON.stringify(`${kind.kind}.${kind.group}`.slice(0, 300))} is not one of ${GROUP}`));
  if (!isObject(request.object)) return refuse(badReview('the request has no object'));
  // Whoever removes finalizers must not be stopped by a spec that is no longer valid.
  if (isDeleting(request)) return { uid: request.uid, allowed: true };
  const policy = policyRefusal(kind.kind, installation);
  if (policy !== undefined) return refuse(forbiddenObject(request, policy));

  const findings = validate(kind.kind, request.object, {
    policy: installation.addresses,
    expressions,
    namespace: request.namespace,
    ...(installation.maxExportBytes === undefined ? {} : { maxExportBytes: installation.maxExportBytes }),
    ...(operation === 'UPDATE' && isObject(request.oldObject) ? { old: request.oldObject } : {}),
  });
  if (findings.length === 0) return { uid: request.uid, allowed: true };
  const errors = findings.filter(({ severity }) => severity === 'error');
  const warnings = findings.filter(({ severity }) => severity === 'warning').map((finding) => shorten(renderFinding(finding)));
  if (errors.length > 0) return refuse(invalidObject(request, errors), warnings, errors[0]?.field);
  return { uid: request.uid, allowed: true, warnings };
}

function isDeleting({ object }: AdmissionRequest): boolean {
  return isObject(object) && isObject(object.metadata) && typeof object.metadata.deletionTimestamp === 'string';
}

function identify(request: AdmissionRequest) {
  return { uid: request.uid, kind: request.kind.kind, namespace: request.namespace, name: objectName(request) };
}

/** The API server may cut longer warnings off, and drops all of them above 4096 characters. */
const maxWarningLength = 256;

function shorten(text: string): string {
  return text.length > maxWarningLength ? `${text.slice(0, maxWarningLength - 1)}…` : text;
}
