import { isObject, textOf } from '../shared/values.ts';

/** `admission.k8s.io/v1`, as far as we read and write it. */
const admissionApiVersion = 'admission.k8s.io/v1';

/** Who made the request, as the API server authenticated it. */
export interface UserInfo {
  username: string;
  uid: string;
  groups: readonly string[];
  extra: Readonly<Record<string, readonly string[]>>;
}

export interface AdmissionRequest {
  uid: string;
  kind: { group: string; version: string; kind: string };
  /** `""` when the API server has yet to generate it. */
  name: string;
  /** `""` for cluster-scoped kinds. */
  namespace: string;
  operation: string;
  userInfo: UserInfo;
  dryRun: boolean;
  /** Null for DELETE. */
  object: unknown;
  /** Null for CREATE. */
  oldObject: unknown;
  /** The object has too many values to be read: null stands for it. */
  isObjectLeftOut?: boolean;
  /** Time of `performance.now()` by which the answer has to leave. */
  deadline: number;
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
 * @param deadline time of `performance.now()` by which the answer has to leave.
 * @param isObjectLeftOut whether the object had too many values to be read.
 * @returns the request, or what is wrong with the body. Parts of the request that are missing or of another type read as empty.
 */
export function readReview(body: unknown, deadline: number, isObjectLeftOut = false): AdmissionRequest | string {
  if (!isObject(body) || body.kind !== 'AdmissionReview') return 'the body is not an AdmissionReview';
  if (body.apiVersion !== admissionApiVersion) return `the AdmissionReview is not of ${admissionApiVersion}`;
  const { request } = body;
  if (!isObject(request)) return 'the AdmissionReview has no request';
  if (typeof request.uid !== 'string' || request.uid === '') return 'the request of the AdmissionReview has no uid';
  const kind = isObject(request.kind) ? request.kind : {};
  const user = isObject(request.userInfo) ? request.userInfo : {};
  return {
    uid: request.uid,
    kind: { group: textOf(kind.group), version: textOf(kind.version), kind: textOf(kind.kind) },
    name: textOf(request.name),
    namespace: textOf(request.namespace),
    operation: textOf(request.operation),
    userInfo: { username: textOf(user.username), uid: textOf(user.uid), groups: texts(user.groups), extra: isObject(user.extra) ? readExtra(user.extra) : {} },
    dryRun: request.dryRun === true,
    object: request.object ?? null,
    oldObject: request.oldObject ?? null,
    isObjectLeftOut,
    deadline,
  };
}

/** The API server's own default where a configuration names none, and the bounds of what it may name. */
const defaultTimeoutMs = 10_000;
const maxTimeoutMs = 30_000;
/** What the answer needs to get there: a late one counts as none. */
const marginMs = 1_000;

/**
 * How long the answer to a call may take: what the API server allows in the query that it adds to the path, less a second, or less half of
 * it when it is short.
 *
 * @example answerWithinMs('/validate?timeout=5s') // 4000
 */
export function answerWithinMs(url: string): number {
  const seconds = /[?&]timeout=(\d{1,3})s(?:&|$)/.exec(url)?.[1];
  const timeoutMs = seconds === undefined ? defaultTimeoutMs : Math.min(Number(seconds) * 1000, maxTimeoutMs);
  return Math.max(timeoutMs - marginMs, timeoutMs / 2);
}

/** A refusal; warnings go with it. */
export function denied(request: AdmissionRequest, status: DenialStatus, warnings: string[] = []): AdmissionResponse {
  return { uid: request.uid, allowed: false, status: { status: 'Failure', ...status }, ...(warnings.length > 0 ? { warnings } : {}) };
}

/** The body of the answer. */
export function writeReview(response: AdmissionResponse): string {
  return `{"apiVersion":"${admissionApiVersion}","kind":"AdmissionReview","response":${JSON.stringify(response)}}`;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function readExtra(extra: Record<string, unknown>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, texts(values)]));
}
