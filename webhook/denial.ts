import { renderFinding, renderProblem } from '../shared/admission/finding.ts';
import type { Finding, FindingType } from '../shared/admission/finding.ts';
import { isObject } from '../shared/values.ts';
import type { AdmissionRequest, DenialStatus } from './protocol.ts';

/** More findings than this help nobody to correct an object, and a hostile one could have a million. */
const maxCauses = 50;

const causeReasons: Record<FindingType, string> = {
  Required: 'FieldValueRequired',
  Invalid: 'FieldValueInvalid',
  NotSupported: 'FieldValueNotSupported',
  Duplicate: 'FieldValueDuplicate',
  Forbidden: 'FieldValueForbidden',
  TooMany: 'FieldValueTooMany',
};

/**
 * Refuses an object for its fields, or when policy alone refuses it, for that. The message reads as the API server's own; clients such as
 * kubectl print the causes, one a line.
 *
 * @example 'KollectProfile.kollect.dev "web" is invalid: spec.targetGVK.kind: Required value'
 */
export function invalidObject(request: AdmissionRequest, errors: readonly Finding[]): DenialStatus {
  const shown = errors.slice(0, maxCauses);
  const more = errors.length > shown.length ? `; and ${errors.length - shown.length} more` : '';
  const forbidden = errors.every(({ policy }) => policy === true);
  return {
    code: forbidden ? 403 : 422,
    reason: forbidden ? 'Forbidden' : 'Invalid',
    message: `${subject(request)} is ${forbidden ? 'forbidden' : 'invalid'}: ${shown.map(renderFinding).join('; ')}${more}`,
    details: {
      name: objectName(request),
      group: request.kind.group,
      kind: request.kind.kind,
      causes: shown.map((finding) => ({ reason: causeReasons[finding.type], message: renderProblem(finding), field: finding.field })),
    },
  };
}

/** Refuses a review that has a uid and little else that can be judged. */
export function badReview(why: string): DenialStatus {
  return { code: 400, reason: 'BadRequest', message: why };
}

/** Refuses an object that would keep the webhook from others. */
export function oversizedObject(request: AdmissionRequest): DenialStatus {
  return { code: 413, reason: 'RequestEntityTooLarge', message: `${subject(request)} has too many fields and items to be judged; no object of this kind needs as many, labels, annotations and managed fields included` };
}

/** Refuses because the webhook failed. The cause is in its log under the uid, not in the answer: it may quote the object. */
export function internalFault(request: AdmissionRequest): DenialStatus {
  return { code: 500, reason: 'InternalError', message: `${subject(request)} could not be judged: internal error of the Kollect webhook, see its log for uid ${request.uid}` };
}

/** Refuses because the cluster does not tell what the object has to be judged by. */
export function lookupFault(request: AdmissionRequest, why: string): DenialStatus {
  return { code: 500, reason: 'InternalError', message: `${subject(request)} could not be judged: ${why}; try again` };
}

/** Refuses because what the webhook waits for did not come in time. */
export function lateFault(request: AdmissionRequest): DenialStatus {
  return { code: 500, reason: 'InternalError', message: `${subject(request)} could not be judged in time: the Kollect webhook waits for the API server; try again` };
}

/** The name, or for an object that will get one, the prefix that it will have. */
export function objectName(request: AdmissionRequest): string {
  if (request.name !== '') return request.name;
  const metadata = isObject(request.object) && isObject(request.object.metadata) ? request.object.metadata : {};
  if (typeof metadata.name === 'string') return metadata.name;
  return typeof metadata.generateName === 'string' ? metadata.generateName : '';
}

function subject(request: AdmissionRequest): string {
  return `${request.kind.kind}.${request.kind.group} ${JSON.stringify(objectName(request))}`;
}
