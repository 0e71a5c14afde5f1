import { DatabaseError } from 'pg';
import { KollectError, type ErrorCode, type ErrorDetails } from '../../../shared/errors.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';
import { strange } from './message-bound.ts';
import type { TableName } from './settings.ts';

/** SQLSTATE of an error that the server sent, such as `42P01`. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined;
}

/** The server ended the session with this error, there never was one, or it is of no use: a new one may be at a server that takes writes. */
export function endsSession(error: unknown): boolean {
  return !(error instanceof DatabaseError) || error.severity === 'FATAL' || error.severity === 'PANIC' || error.code === readOnlyState;
}

/** A statement took longer than the database lets it, and the session goes on. */
export function isTooSlow(error: unknown, session: { broken: boolean }): boolean {
  return sqlState(error) === '57014' && !session.broken;
}

const readOnlyState = '25006';
export const readOnlyText = 'the database is read-only: it is a standby, or it or the user was switched to read-only: name its primary, or look at default_transaction_read_only of both';

/**
 * The error is about the content of rows: data exceptions (22), violated constraints (23), RAISE in a trigger (P0001), values beyond
 * a limit (54000, 54001). Or rows were left out without one.
 */
export function isRowError(error: unknown): boolean {
  if (error instanceof KollectError) return error.code === 'KOL_SINK_ROW';
  const state = sqlState(error);
  return state !== undefined && /^(?:22|23|P0001|5400)/.test(state);
}

/** Why a row was refused. Values are left out, and so is what the server says about them. */
export function rowRefusal(error: unknown): { code: string; message: string } {
  if (error instanceof KollectError) return { code: 'LeftOut', message: error.message };
  const { code = '', constraint, column } = error as DatabaseError;
  if (constraint !== undefined) return { code, message: `refused by the constraint ${JSON.stringify(constraint)}` };
  if (column !== undefined) return { code, message: `refused because of column ${JSON.stringify(column)}` };
  return { code, message: rowTexts[code] ?? 'refused because of its content' };
}

const rowTexts: Readonly<Record<string, string>> = {
  '22P02': 'holds text that jsonb cannot represent',
  '22P05': 'holds a character that the database cannot represent',
  '22021': 'holds a character that the database cannot represent',
  '54000': 'larger than the database can store',
  '54001': 'nested deeper than the database can store',
  P0001: 'refused by a trigger',
};

/** Texts name the table only: host, user, database and what the server said of them stay hidden. */
const states: readonly [pattern: RegExp, code: ErrorCode, text: (table: TableName) => string, details?: ErrorDetails][] = [
  [/^28P01/, 'KOL_SINK_AUTH', () => 'the database refused the login: correct user and password of the connection string in the Secret'],
  [/^28/, 'KOL_SINK_AUTH', () => 'the database refused the login: correct the connection string in the Secret, or let pg_hba.conf of the server admit it'],
  [/^3D000/, 'KOL_SINK_AUTH', () => 'the database that the connection string names does not exist: create it, or correct the Secret'],
  [/^42501/, 'KOL_SINK_AUTH', ({ title }) => `the user of the connection string lacks a privilege for ${title}: grant SELECT, INSERT, UPDATE and DELETE on it, and CREATE on its schema when Kollect is to create it; where it has row security, let its policies admit him`],
  [/^3F000/, 'KOL_SINK_SCHEMA', ({ schema }) => `schema ${JSON.stringify(schema)} does not exist: create it, or correct spec.postgres.schema`],
  [/^42P01/, 'KOL_SINK_SCHEMA', ({ title }) => `${title} does not exist: create it, or set spec.provisioning.mode to ensure`],
  [/^42P10/, 'KOL_SINK_SCHEMA', ({ title }) => `${title} has lost its unique key`],
  [/^42703|^42804/, 'KOL_SINK_SCHEMA', ({ title }) => `${title} does not have the columns that it had`],
  // A role may be read-only at a database that is not.
  [/^25006/, 'KOL_SINK_BUSY', () => readOnlyText],
  [/^53100/, 'KOL_SINK_UNAVAILABLE', () => 'the disk of the database is full: free some space or enlarge it'],
  [/^53200/, 'KOL_SINK_UNAVAILABLE', () => 'the database is out of memory'],
  [/^53300 limit/, 'KOL_SINK_BUSY', () => 'the user of the connection string, or the database, may have no more connections: raise CONNECTION LIMIT of both, or use a pooler'],
  [/^53300|^53400/, 'KOL_SINK_UNAVAILABLE', () => 'the database has no connection left: raise max_connections, or use a pooler'],
  [/^53/, 'KOL_SINK_UNAVAILABLE', () => 'the database lacks resources'],
  [/^55P03/, 'KOL_SINK_BUSY', ({ title }) => `${title} is locked by another session for longer than spec.options.lock_timeout allows`],
  [/^57014/, 'KOL_SINK_BUSY', () => 'the database cancelled a statement: raise spec.options.statement_timeout, or look for what slows the database down'],
  [/^57P03/, 'KOL_SINK_UNAVAILABLE', () => 'the database is starting or stopping', { retryAfterMs: 1_000 }],
  [/^57P04/, 'KOL_SINK_AUTH', () => 'the database that the connection string names was dropped'],
  [/^57P/, 'KOL_SINK_UNAVAILABLE', () => 'the database ended the session'],
  [/^25P0/, 'KOL_SINK_BUSY', () => 'the database ended the session'],
  [/^08/, 'KOL_SINK_UNAVAILABLE', () => 'the connection to the database failed'],
  [/^40/, 'KOL_SINK_BUSY', () => 'another session wrote the same rows at the same time'],
];

/** Who logs in has as many connections as CONNECTION LIMIT of the role or the database allows, and others may find some. The text is in the server's language. */
function hasLimit(error: unknown): boolean {
  return sqlState(error) === '53300' && /^(?:InitializeSessionUserId|CheckMyDatabase)$/.test((error as DatabaseError).routine ?? '');
}

/** PgBouncer says most things with one SQLSTATE, and only its text tells what the server would have said. */
function poolerState(error: unknown): string | undefined {
  if (sqlState(error) !== '08P01') return undefined;
  return poolerTexts.find(([pattern]) => pattern.test((error as DatabaseError).message))?.[1];
}

const poolerTexts: readonly [RegExp, string][] = [
  [/authentication failed|auth failed|no such user/i, '28P01'],
  [/no such database|database .* does not exist/i, '3D000'],
  [/connection slots|too many|no more connections/i, '53300'],
];

/** The error of the catalogue for anything that pg or the server threw. */
export function postgresError(error: unknown, table: TableName): KollectError {
  if (error instanceof KollectError) return error;
  // A fault of ours is not one of the connection.
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) {
    return new KollectError('KOL_INTERNAL', `${error.name}: ${error.message}`, { cause: error });
  }
  if (sqlState(error) === '08P01' && /unsupported startup parameter/i.test((error as DatabaseError).message)) {
    return new KollectError('KOL_SINK_CONFIG', 'a pooler in front of the database does not pass on the options of the connection string: remove them, or let it ignore or track them', { cause: error });
  }
  const state = poolerState(error) ?? sqlState(error);
  if (state !== undefined) {
    const kind = hasLimit(error) ? `${state} limit` : state;
    for (const [pattern, code, text, details] of states) if (pattern.test(kind)) return new KollectError(code, `${text(table)} (SQLSTATE ${state})`, { ...details, cause: error });
    return new KollectError('KOL_SINK_BUSY', `the database answered with SQLSTATE ${state}`, { cause: error });
  }
  const tls = tlsFault(error);
  if (tls !== undefined) return new KollectError('KOL_SINK_CONFIG', tls, { cause: error });
  const network = networkFault(error);
  if (network !== undefined) return new KollectError('KOL_SINK_UNAVAILABLE', `the database cannot be reached, ${network}`, { cause: error });
  const message = error instanceof Error ? error.message : '';
  for (const [pattern, code, text] of clientTexts) if (pattern.test(message)) return new KollectError(code, text, { cause: error });
  return strange(error);
}

/** The client's own errors have no codes. */
const clientTexts: readonly [RegExp, ErrorCode, string][] = [
  [/does not support SSL/, 'KOL_SINK_CONFIG', 'the database offers no TLS, which sslmode or spec.tls demands: turn it on at the server, or write sslmode=disable'],
  [/password must be/, 'KOL_SINK_AUTH', 'the database asks for a password and the connection string has none: add it to the Secret'],
  [/^SASL|authentication/i, 'KOL_SINK_AUTH', 'the login failed, the database and the connection string do not agree on how to log in: correct the Secret, or pg_hba.conf of the server'],
  [/timeout/i, 'KOL_SINK_UNAVAILABLE', 'the database does not answer: look at it, and at the network on the way to it'],
  [/terminated|closed|ended|not queryable/i, 'KOL_SINK_UNAVAILABLE', 'the connection to the database was lost: look at the log of the database'],
];
