import { RestError } from '@azure/storage-blob';
import { errorCatalogue, KollectError, type ErrorCode } from '../../../shared/errors.ts';
import { answerMs, ConditionFailed } from '../objects/object-store.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';

/** What the client or the store threw, in terms of the catalogue. `does` is what was asked for, such as `write blobs`. */
export function azureError(error: unknown, does: string, title: string, signal: AbortSignal): Error {
  if (error instanceof KollectError) return error;
  // Of what a connection failed with the client keeps code and message.
  if (error instanceof RestError && error.statusCode === undefined && isCode(error.code)) return new KollectError(error.code, error.message, { cause: error });
  if (signal.aborted) return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) return new KollectError('KOL_SINK_UNAVAILABLE', `no answer within ${answerMs / 1_000} s: look at the store, and at the network on the way to it (${title})`, { cause: error });
  const tls = tlsFault(error);
  if (tls !== undefined) return new KollectError('KOL_SINK_CONFIG', `${tls} (${title})`, { cause: error });
  const network = networkFault(error);
  if (network !== undefined) return new KollectError('KOL_SINK_UNAVAILABLE', `the server cannot be reached, ${network} (${title})`, { cause: error });
  const { code: name, status } = answerOf(error);
  if (status === undefined) {
    if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return new KollectError('KOL_INTERNAL', `${error.name}: ${error.message}`, { cause: error });
    return new KollectError('KOL_SINK_UNAVAILABLE', `the connection to the store failed: look at the network on the way to it (${title})`, { cause: error });
  }
  const named = meanings[name];
  // A blob that was to be replaced, or its blocks, which the commit of another one drops, are gone.
  const isGone = name === 'InvalidBlockList' || (status === 404 && does === 'write blobs');
  if (!named && (isGone || status === 412 || name === 'BlobAlreadyExists')) return new ConditionFailed({ cause: error });
  const meant = named ?? statuses[status];
  const [errorCode, text]: [ErrorCode, string] = meant ?? (status >= 500 ? ['KOL_SINK_UNAVAILABLE', 'the store failed: look at its log'] : ['KOL_SINK_REFUSED', 'the store refused the request: look at what it says of it']);
  return new KollectError(errorCode, `${text.replace('{action}', does)} (${title}, ${name === '' ? '' : `${name} `}${status})`, { cause: error });
}

/** Code and status of an answer; the status is undefined when there was none. Answers to HEAD have the code in a header. */
export function answerOf(error: unknown): { code: string; status: number | undefined } {
  if (!(error instanceof RestError)) return { code: '', status: undefined };
  return { code: error.response?.headers.get('x-ms-error-code') ?? error.code ?? '', status: error.statusCode };
}

function isCode(code = ''): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code);
}

const login: [ErrorCode, string] = ['KOL_SINK_AUTH', 'the store refused the login: correct the Secret, or the identity of the workload'];
const denied: [ErrorCode, string] = ['KOL_SINK_AUTH', 'the credentials may not {action}: grant Storage Blob Data Contributor for the container, or permissions rwdlc of the SAS'];
const missing: [ErrorCode, string] = ['KOL_SINK_SCHEMA', 'the container does not exist: create it, or correct spec.endpoint'];
const throttled: [ErrorCode, string] = ['KOL_SINK_UNAVAILABLE', 'the store limits how often it is asked: look at its limits'];
const kept: [ErrorCode, string] = ['KOL_SINK_REFUSED', 'a policy, hold or lease keeps the blob as it is: remove it, or name another container'];
const tooLarge: [ErrorCode, string] = ['KOL_SINK_REFUSED', 'the store takes no blob of this size: set maxExportBytes in the inventory, and it is written in parts'];

const meanings: Readonly<Record<string, [ErrorCode, string]>> = {
  AuthenticationFailed: login,
  InvalidAuthenticationInfo: login,
  NoAuthenticationInformation: login,
  KeyBasedAuthenticationNotPermitted: ['KOL_SINK_AUTH', 'the account takes no keys: use a token of Microsoft Entra, by tenantID, clientID and clientSecret in the Secret or by the identity of the workload'],
  AuthorizationFailure: ['KOL_SINK_AUTH', 'the store does not let us {action}: correct the Secret, allow the address of the cluster in the firewall of the account, or grant Storage Blob Data Contributor'],
  AuthorizationPermissionMismatch: denied,
  AuthorizationServiceMismatch: denied,
  AuthorizationResourceTypeMismatch: denied,
  AuthorizationProtocolMismatch: denied,
  InsufficientAccountPermissions: denied,
  AccountIsDisabled: ['KOL_SINK_AUTH', 'the account is disabled: enable it'],
  ContainerNotFound: missing,
  ContainerBeingDeleted: missing,
  ResourceNotFound: missing,
  ServerBusy: throttled,
  OperationTimedOut: throttled,
  Md5Mismatch: ['KOL_SINK_UNAVAILABLE', 'what was sent did not arrive whole: look at the network on the way to the store'],
  AccountLimitExceeded: ['KOL_SINK_UNAVAILABLE', 'a limit of the account is used up: raise it'],
  BlobImmutableDueToPolicy: kept,
  LeaseIdMissing: kept,
  RequestBodyTooLarge: tooLarge,
  BlockCountExceedsLimit: tooLarge,
  InvalidResourceName: ['KOL_SINK_CONFIG', 'this is no name of a container: correct spec.endpoint'],
};

const statuses: Readonly<Record<number, [ErrorCode, string]>> = {
  400: ['KOL_SINK_CONFIG', 'the store does not take the request: look at spec.endpoint and spec.options'],
  401: login,
  403: denied,
  404: missing,
  413: tooLarge,
  429: throttled,
  503: throttled,
};
