import { KollectError, type ErrorCode } from '../../../shared/errors.ts';
import { answerMs, ConditionFailed } from '../objects/object-store.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';
import type { HttpAnswer } from '../runtime/http-request.ts';

/** Why there was no answer. */
export function connectionError(error: unknown, title: string, signal: AbortSignal): KollectError {
  if (error instanceof KollectError) return error;
  if (signal.aborted) return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
  const name = error instanceof Error ? error.name : '';
  if (name === 'AbortError' || name === 'TimeoutError') return new KollectError('KOL_SINK_UNAVAILABLE', `no answer within ${answerMs / 1_000} s: look at the store, and at the network on the way to it (${title})`, { cause: error });
  const tls = tlsFault(error);
  if (tls !== undefined) return new KollectError('KOL_SINK_CONFIG', `${tls} (${title})`, { cause: error });
  const network = networkFault(error) ?? 'the connection failed: look at the network on the way to it';
  return new KollectError('KOL_SINK_UNAVAILABLE', `the server cannot be reached, ${network} (${title})`, { cause: error });
}

/** Why there is no token. */
export function tokenError(error: unknown, title: string, signal: AbortSignal): KollectError {
  const text = error instanceof Error ? error.message : String(error);
  if (/invalid_grant|invalid_client|unauthorized_client|account not found|Could not load the default credentials|Unable to (?:detect|impersonate)/i.test(text)) {
    return new KollectError('KOL_SINK_AUTH', `Google refused the login, or there is no identity to log in with: correct credentials.json in the Secret, or give the workload an identity (${title})`, { cause: error });
  }
  const { message } = connectionError(error, title, signal);
  return new KollectError('KOL_SINK_UNAVAILABLE', `no token for the store: ${message}`, { cause: error });
}

/** What an answer that is no success means. `does` is the permission that was needed, such as `storage.objects.create`. */
export function answerError({ status, body }: HttpAnswer, does: string, title: string): Error {
  const { reason, message } = readBody(body);
  if (status === 412) return new ConditionFailed();
  const meant = reasons[reason] ?? statuses[status];
  const [code, text]: [ErrorCode, string] = meant ?? (status >= 500 ? ['KOL_SINK_UNAVAILABLE', 'the store failed: look at its log'] : ['KOL_SINK_REFUSED', 'the store refused the request: look at what it says of it']);
  const said = code !== 'KOL_SINK_AUTH' && message !== '' ? `: ${message.slice(0, 300)}` : '';
  return new KollectError(code, `${text.replace('{permission}', does)} (${title}, ${reason === '' ? '' : `${reason} `}${status})${said}`);
}

function readBody(body: Buffer): { reason: string; message: string } {
  try {
    const { error } = JSON.parse(body.toString()) as { error?: { message?: unknown; errors?: { reason?: unknown }[] } };
    return { reason: String(error?.errors?.[0]?.reason ?? ''), message: String(error?.message ?? '') };
  } catch {
    return { reason: '', message: '' };
  }
}

const login: [ErrorCode, string] = ['KOL_SINK_AUTH', 'the store refused the login: correct credentials.json in the Secret, or the identity of the workload'];
const denied: [ErrorCode, string] = ['KOL_SINK_AUTH', 'the account lacks {permission}: grant it for the bucket'];
const throttled: [ErrorCode, string] = ['KOL_SINK_UNAVAILABLE', 'the store limits how often it is asked: look at its limits'];
const quota: [ErrorCode, string] = ['KOL_SINK_UNAVAILABLE', 'a quota of the project is used up: raise it'];

const reasons: Readonly<Record<string, [ErrorCode, string]>> = {
  authError: login,
  required: login,
  forbidden: denied,
  insufficientPermissions: denied,
  rateLimitExceeded: throttled,
  userRateLimitExceeded: throttled,
  quotaExceeded: quota,
  dailyLimitExceeded: quota,
  accountDisabled: ['KOL_SINK_AUTH', 'the account or its billing is disabled: enable it'],
  userProjectMissing: ['KOL_SINK_CONFIG', 'the bucket lets the one who asks pay: name a project in spec.options.userProject'],
  uploadTooLarge: ['KOL_SINK_REFUSED', 'the store takes no object of this size: set maxExportBytes in the inventory, and it is written in parts'],
  retentionPolicyNotMet: ['KOL_SINK_REFUSED', 'the retention policy of the bucket keeps the object as it is: remove the policy, or name another bucket'],
  objectUnderActiveHold: ['KOL_SINK_REFUSED', 'a hold keeps the object as it is: release it, or name another prefix'],
};

const statuses: Readonly<Record<number, [ErrorCode, string]>> = {
  400: ['KOL_SINK_CONFIG', 'the store does not take the request: look at spec.endpoint and spec.options'],
  401: login,
  403: denied,
  404: ['KOL_SINK_SCHEMA', 'the bucket does not exist: create it, or correct spec.endpoint'],
  408: throttled,
  409: ['KOL_SINK_UNAVAILABLE', 'the store was changing the same at that time'],
  413: ['KOL_SINK_REFUSED', 'the store takes no object of this size: set maxExportBytes in the inventory, and it is written in parts'],
  429: throttled,
  503: throttled,
};
