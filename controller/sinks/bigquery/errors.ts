import { KollectError, type ErrorCode, type ErrorDetails } from '../../../shared/errors.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';
import type { TableName } from './settings.ts';
import { foreignRows } from './statements.ts';

/** An error that the API answered with, or that a job ended with. */
export interface ApiFault {
  /** Of HTTP; 0 when a job ended with it. */
  status: number;
  /** BigQuery's own name of it, such as `quotaExceeded`. */
  reason: string;
  message: string;
  retryAfterMs?: number | undefined;
}

export function isApiFault(error: unknown): error is ApiFault & Error {
  return error instanceof Error && 'reason' in error && 'status' in error;
}

/** Nothing of that name is there. */
export function isNotFound(error: unknown): boolean {
  return isApiFault(error) && (error.reason === 'notFound' || error.reason === 'NOT_FOUND' || (error.reason === '' && error.status === 404));
}

/** A statement met rows of another installation, and has changed nothing. */
export function isForeignRows(error: unknown): boolean {
  return isApiFault(error) && error.message.includes(foreignRows);
}

/** Nobody knows whether it was done: the question is on its way, or its answer was lost. */
export function isUnknownOutcome(error: unknown): boolean {
  if (error instanceof KollectError) return false;
  return !isApiFault(error) || error.status >= 500;
}

type Advice = (table: TableName) => string;

/** Names come before numbers: BigQuery throttles with the same 403 as it refuses. Texts hold no word of the answer, which may quote rows. */
const reasons: readonly [pattern: RegExp, code: ErrorCode, text: Advice, details?: ErrorDetails][] = [
  [/^(?:rateLimitExceeded|jobRateLimitExceeded|userRateLimitExceeded|resource_exhausted)$/i, 'KOL_SINK_UNAVAILABLE', () => 'BigQuery limits how often it is asked: raise the limit of the project, or write less often'],
  // Quotas of a day come back over the day, those of a minute sooner: asking every few minutes finds out.
  [/^quotaExceeded$/i, 'KOL_SINK_UNAVAILABLE', ({ project }) => `the quota of project ${project} is used up: raise it, or let exports run less often`, { retryAfterMs: 300_000 }],
  [/^(?:backendError|internalError|jobBackendError|jobInternalError|tableUnavailable|unavailable)$/i, 'KOL_SINK_UNAVAILABLE', () => 'BigQuery has a fault of its own'],
  [/^(?:authError|invalidCredentials|required|unauthenticated)$/i, 'KOL_SINK_AUTH', () => 'BigQuery refused the login: correct the key in the Secret, which may have been deleted or disabled'],
  [/^accessNotConfigured$/i, 'KOL_SINK_AUTH', ({ project }) => `the API of BigQuery is not enabled in project ${project}: enable bigquery.googleapis.com`],
  [/^(?:accessDenied|forbidden|permission_denied|insufficientPermissions)$/i, 'KOL_SINK_AUTH', ({ project, dataset }) => `the service account lacks a permission: grant roles/bigquery.jobUser on project ${project} and roles/bigquery.dataEditor on dataset ${dataset}`],
  [/^bytesBilledLimitExceeded$/i, 'KOL_SINK_CONFIG', () => 'the statement reads more than spec.options.maximumBytesBilled allows: raise it'],
  [/^(?:billingNotEnabled|billingTierLimitExceeded|blocked)$/i, 'KOL_SINK_REFUSED', ({ project }) => `project ${project} may not run such statements: look at its billing, and at who may use it`],
  [/^(?:responseTooLarge|tooLarge)$/i, 'KOL_SINK_REFUSED', () => 'what was sent or asked for is larger than BigQuery takes'],
  [/^resourcesExceeded$/i, 'KOL_SINK_BUSY', () => 'the statement needs more resources than BigQuery gives it'],
  [/^(?:stopped|cancelled|timeout)$/i, 'KOL_SINK_BUSY', () => 'the job was ended before it was done'],
  [/^(?:notImplemented)$/i, 'KOL_SINK_REFUSED', () => 'BigQuery does not do this for such a table or in this location'],
];

/** The error of the catalogue for anything that the API answered, or that happened on the way there. */
export function bigqueryError(error: unknown, table: TableName): KollectError {
  if (error instanceof KollectError) return error;
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return new KollectError('KOL_INTERNAL', `${error.name}: ${error.message}`, { cause: error });
  if (isApiFault(error)) return apiError(error, table);
  const tls = tlsFault(error);
  if (tls !== undefined) return new KollectError('KOL_SINK_CONFIG', tls, { cause: error });
  const network = networkFault(error);
  if (network !== undefined) return new KollectError('KOL_SINK_UNAVAILABLE', `BigQuery cannot be reached, ${network}`, { cause: error });
  if (error instanceof Error && error.name === 'AbortError') return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled', { cause: error });
  return new KollectError('KOL_SINK_UNAVAILABLE', 'BigQuery does not answer: look at the network on the way to it', { cause: error });
}

function apiError(fault: ApiFault & Error, table: TableName): KollectError {
  const { status, reason, message, retryAfterMs } = fault;
  const told = [reason, ...(status === 0 ? [] : [`HTTP ${status}`])].filter((part) => part !== '').join(', ');
  const details = { ...(retryAfterMs !== undefined && { retryAfterMs }), cause: fault };
  if (isNotFound(fault)) {
    if (/dataset/i.test(message)) return missingDataset(table, fault);
    return new KollectError('KOL_SINK_SCHEMA', `${table.title} does not exist, or its project does not: create it, or correct spec.bigquery (${told})`, details);
  }
  // Statements of others that change the same rows are not waited for without end.
  if (/concurrent update|could not serialize|too many DML statements/i.test(message)) return new KollectError('KOL_SINK_BUSY', `${table.title} is being changed by others: it is tried again`, details);
  for (const [pattern, code, text, more] of reasons) if (pattern.test(reason)) return new KollectError(code, `${text(table)} (${told})`, { ...more, ...details });
  if (status === 401) return new KollectError('KOL_SINK_AUTH', `BigQuery refused the login: correct the key in the Secret (${told})`, details);
  if (status === 403) return new KollectError('KOL_SINK_AUTH', `BigQuery refuses this to the service account (${told})`, details);
  if (status === 413) return new KollectError('KOL_SINK_REFUSED', `what was sent is larger than BigQuery takes (${told})`, details);
  if (status === 429 || status >= 500) return new KollectError('KOL_SINK_UNAVAILABLE', `BigQuery cannot take this now (${told})`, details);
  if (status === 400 || /^invalid/i.test(reason)) return new KollectError('KOL_SINK_SCHEMA', `BigQuery does not take a statement for ${table.title}: look at the failed job in its console, and at the columns of the table (${told})`, details);
  return new KollectError('KOL_SINK_BUSY', `BigQuery ended a job with an error (${told})`, details);
}

export function missingDataset({ project, dataset }: TableName, cause?: unknown): KollectError {
  return new KollectError('KOL_SINK_SCHEMA', `dataset ${project}.${dataset} does not exist: create it, or correct spec.bigquery`, { cause });
}
