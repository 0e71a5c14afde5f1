/** `admission.k8s.io/v1`, as far as we read and write it. */
export const admissionApiVersion = 'admission.k8s.io/v1';

export interface AdmissionRequest {
  uid: string;
  kind: { group: string; version: string; kind: string };
  /** `""` when the API server has yet to generate it. */
  name: string;
  /** `""` for cluster-scoped kinds. */
  namespace: string;
  operation: string;
  user: string;
  dryRun: boolean;
  /** Null for DELETE. */
  object: unknown;
  /** Null for CREATE. */
  oldObject: unknown;
}

/** `metav1.StatusCause`. */
export interface StatusCause {
  reason: string;
  message: string;
  field: string;
}

/** `metav1.Status` of a denial: what the client gets to see. */
export interface DenialStatus {
  code: number;
  reason: string;
  message: string;
  details?: { name: string; group: string; kind: string; causes: StatusCause[] };
}

export interface AdmissionResponse {
  uid: string;
  allowed: boolean;
  status?: DenialStatus & { status: 'Failure' };
  warnings?: string[];
  patchType?: 'JSONPatch';
  /** Base64 of the JSON text of the patch. */
  patch?: string;
}

/**
 * Reads an AdmissionReview. A body without a request that has a uid is no review: nobody could be answered.
 *
 * @returns the request, or what is wrong with the body. Parts of the request that are missing or of another type read as empty.
 */
export function readReview(body: unknown): AdmissionRequest | string {
  if (!isObject(body) || body.kind !== 'AdmissionReview') return 'the body is not an AdmissionReview';
  if (body.apiVersion !== admissionApiVersion) return `the AdmissionReview is not of ${admissionApiVersion}`;
  const { request } = body;
  if (!isObject(request)) return 'the AdmissionReview has no request';
  if (typeof request.uid !== 'string' || request.uid === '') return 'the request of the AdmissionReview has no uid';
  const kind = isObject(request.kind) ? request.kind : {};
  const user = isObject(request.userInfo) ? request.userInfo : {};
  return {
    uid: request.uid,
    kind: { group: text(kind.group), version: text(kind.version), kind: text(kind.kind) },
    name: text(request.name),
    namespace: text(request.namespace),
    operation: text(request.operation),
    user: text(user.username),
    dryRun: request.dryRun === true,
    object: request.object ?? null,
    oldObject: request.oldObject ?? null,
  };
}

/** The body of the answer. */
export function writeReview(response: AdmissionResponse): string {
  return JSON.stringify({ apiVersion: admissionApiVersion, kind: 'AdmissionReview', response });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
