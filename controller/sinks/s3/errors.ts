import { KollectError, type ErrorCode } from '../../../shared/errors.ts';
import { answerMs, ConditionFailed } from '../objects/object-store.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';

/** What the client or the store threw, in terms of the catalogue. `does` is what was asked for, such as `s3:PutObject`. */
export function s3Error(error: unknown, does: string, { title, region }: { title: string; region: string }, signal: AbortSignal): Error {
  if (error instanceof KollectError || error instanceof ConditionFailed) return error;
  if (signal.aborted) return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return new KollectError('KOL_INTERNAL', `${error.name}: ${error.message}`, { cause: error });
  const { name, status } = answerOf(error);
  if (name === 'AbortError' || name === 'TimeoutError') return new KollectError('KOL_SINK_UNAVAILABLE', `no answer within ${answerMs / 1_000} s: look at the store, and at the network on the way to it (${title})`, { cause: error });
  const tls = tlsFault(error);
  if (tls !== undefined) return new KollectError('KOL_SINK_CONFIG', `${tls} (${title})`, { cause: error });
  const network = networkFault(error);
  if (network !== undefined) return new KollectError('KOL_SINK_UNAVAILABLE', `the server cannot be reached, ${network} (${title})`, { cause: error });
  // What was to be replaced, or was begun, is gone.
  const isGone = status === 404 && meanings[name] === undefined && does === 's3:PutObject';
  if (isGone || status === 412 || (status === 409 && name === 'ConditionalRequestConflict')) return new ConditionFailed({ cause: error });
  const meant = meanings[name] ?? (status === undefined ? undefined : statuses[status]);
  const [code, text]: [ErrorCode, string] = meant ?? (status === undefined || status >= 500 ? ['KOL_SINK_UNAVAILABLE', `the store failed: look at its log`] : ['KOL_SINK_REFUSED', `the store refused the request: look at what it says of it`]);
  const said = error instanceof Error && quoted.has(code) && error.message !== '' && error.message !== name ? `: ${error.message.slice(0, 300)}` : '';
  return new KollectError(code, `${text.replace('{action}', does).replace('{region}', JSON.stringify(region))} (${title}${status === undefined ? '' : `, ${name} ${status}`})${said}`, { cause: error });
}

/** Name and status of an answer; the status is undefined when there was none. */
export function answerOf(error: unknown): { name: string; status: number | undefined } {
  const { name = 'Error', $metadata } = (error ?? {}) as { name?: string; $metadata?: { httpStatusCode?: number } };
  return { name, status: $metadata?.httpStatusCode };
}

/** Where the store knows better what was wrong. */
const quoted: ReadonlySet<ErrorCode> = new Set(['KOL_SINK_CONFIG', 'KOL_SINK_REFUSED', 'KOL_SINK_UNAVAILABLE']);

const badKey: [ErrorCode, string] = ['KOL_SINK_AUTH', 'the store refused the login, it does not know the access key or its secret: correct accessKeyID and secretAccessKey in the Secret'];
const expired: [ErrorCode, string] = ['KOL_SINK_AUTH', 'the credentials are temporary, and have expired or lack their session token: put new ones with sessionToken into the Secret'];
const noIdentity: [ErrorCode, string] = ['KOL_SINK_AUTH', 'there are no credentials: name a Secret in spec.secretRef, or give the workload an identity'];
const denied: [ErrorCode, string] = ['KOL_SINK_AUTH', 'the credentials may not do {action}: allow it for the bucket and its objects'];
const missing: [ErrorCode, string] = ['KOL_SINK_SCHEMA', 'the bucket does not exist: create it, or correct spec.endpoint'];
const elsewhere: [ErrorCode, string] = ['KOL_SINK_CONFIG', 'the bucket is in another region than {region}: correct spec.options.region'];
const throttled: [ErrorCode, string] = ['KOL_SINK_UNAVAILABLE', 'the store limits how often it is asked: look at its limits'];
const garbled: [ErrorCode, string] = ['KOL_SINK_UNAVAILABLE', 'what was sent did not arrive whole: look at the network on the way to the store'];
const full: [ErrorCode, string] = ['KOL_SINK_UNAVAILABLE', 'the store has no room, or a quota is used up: make room, or raise the quota'];
const tooLarge: [ErrorCode, string] = ['KOL_SINK_REFUSED', 'the store takes no object or part of this size: set maxExportBytes in the inventory, and it is written in parts'];
const kms: [ErrorCode, string] = ['KOL_SINK_CONFIG', 'the key of the encryption cannot be used: correct spec.options.sseKmsKeyId, or enable the key'];

/** Names of errors of S3 and of stores that speak like it. */
const meanings: Readonly<Record<string, [ErrorCode, string]>> = {
  InvalidAccessKeyId: badKey,
  SignatureDoesNotMatch: badKey,
  // Of versitygw.
  XAdminUserNotFound: badKey,
  AuthFailure: badKey,
  ExpiredToken: expired,
  InvalidToken: expired,
  TokenRefreshRequired: expired,
  CredentialsProviderError: noIdentity,
  TokenProviderError: noIdentity,
  InvalidIdentityToken: noIdentity,
  AccessDenied: denied,
  AllAccessDisabled: denied,
  AccountProblem: denied,
  NoSuchBucket: missing,
  PermanentRedirect: elsewhere,
  AuthorizationHeaderMalformed: elsewhere,
  IllegalLocationConstraintException: elsewhere,
  RequestTimeTooSkewed: ['KOL_SINK_UNAVAILABLE', 'the clocks of controller and store differ too much: correct them'],
  SlowDown: throttled,
  RequestLimitExceeded: throttled,
  Throttling: throttled,
  ThrottlingException: throttled,
  TooManyRequestsException: throttled,
  OperationAborted: ['KOL_SINK_UNAVAILABLE', 'the store was changing the same at that time'],
  RequestTimeout: garbled,
  IncompleteBody: garbled,
  BadDigest: garbled,
  QuotaExceeded: full,
  XMinioStorageFull: full,
  XMinioAdminBucketQuotaExceeded: full,
  EntityTooLarge: tooLarge,
  MaxMessageLengthExceeded: tooLarge,
  'KMS.DisabledException': kms,
  'KMS.NotFoundException': kms,
  'KMS.KMSInvalidStateException': kms,
  InvalidBucketName: ['KOL_SINK_CONFIG', 'this is no name of a bucket: correct spec.endpoint'],
  NotImplemented: ['KOL_SINK_CONFIG', 'the store does not know {action} as it was asked'],
};

/** Answers to HEAD have no name. */
const statuses: Readonly<Record<number, [ErrorCode, string]>> = {
  301: elsewhere,
  400: ['KOL_SINK_CONFIG', 'the store does not take the request: look at spec.endpoint, spec.options and the credentials'],
  401: badKey,
  403: ['KOL_SINK_AUTH', 'the store refused {action}: correct the credentials, or allow it for the bucket and its objects'],
  404: missing,
  413: tooLarge,
  429: throttled,
  503: throttled,
  507: full,
};
