import type { ConnectionOptions } from 'node:tls';
import { checkServerIdentity } from 'node:tls';
import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import { postgresSecretKeys } from '../../../shared/api/sinks/postgres.ts';
import type { postgresOptions } from '../../../shared/api/sinks/postgres.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';
import { parseDsn, type Dsn, type SslMode } from './dsn.ts';

export interface TableName {
  schema: string;
  table: string;
  /** Quoted, for SQL. */
  sql: string;
  /** For messages: the names as the sink has them. */
  title: string;
}

export interface TlsSettings {
  /** `never`: plain; `preferred`: plain when the server has no TLS; `required`. */
  use: 'never' | 'preferred' | 'required';
  /** For `tls.connect`, without the socket. */
  options: ConnectionOptions;
  /** `TLS, server verified`. */
  title: string;
}

export interface ResolvedSettings {
  dsn: Dsn;
  tls: TlsSettings;
  table: TableName;
  mode: 'ensure' | 'existing';
  applicationName: string;
  /** Runs at the begin of each transaction. */
  begin: string;
  statementTimeoutMs: number | undefined;
}

/** Less than any question may take, so that a lock is named for what it is. */
const lockTimeoutMs = 20_000;

/** Reads spec, Secret and CA. Throws `KOL_SINK_SECRET` and `KOL_SINK_CONFIG`. */
export function readSettings(context: OpenContext<KollectDatabaseSinkSpec>): ResolvedSettings {
  const { spec, secrets, ca, clientCertificate } = context;
  const dsn = parseDsn(secrets.require(...postgresSecretKeys));
  const statementTimeoutMs = milliseconds(spec.options, 'statement_timeout');
  return {
    dsn,
    tls: tlsSettings(dsn, { insecure: spec.tls?.insecureSkipVerify === true, ca, clientCertificate }),
    table: tableName(spec),
    mode: modeOf(spec),
    applicationName: spec.options?.['application_name' satisfies Option]?.trim() || 'kollect',
    begin: beginStatement({
      statement_timeout: statementTimeoutMs,
      lock_timeout: milliseconds(spec.options, 'lock_timeout') ?? Math.min(lockTimeoutMs, Math.ceil((statementTimeoutMs || Infinity) * 0.75)),
      idle_in_transaction_session_timeout: milliseconds(spec.options, 'idle_in_transaction_session_timeout'),
    }),
    statementTimeoutMs: statementTimeoutMs === 0 ? undefined : statementTimeoutMs,
  };
}

export function tableName(spec: KollectDatabaseSinkSpec): TableName {
  const table = spec.postgres?.table.trim() ?? '';
  const schema = spec.postgres?.schema?.trim() || 'public';
  if (table === '') throw new KollectError('KOL_SINK_CONFIG', 'spec.postgres.table is empty: name the table');
  return { schema, table, sql: `${quoted(schema)}.${quoted(table)}`, title: `table ${quoted(schema)}.${quoted(table)}` };
}

export function modeOf(spec: KollectDatabaseSinkSpec): ResolvedSettings['mode'] {
  return spec.provisioning?.mode ?? 'ensure';
}

/** A name as SQL writes it, in quotes that are doubled inside. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

type Option = (typeof postgresOptions)[number];

function milliseconds(options: KollectDatabaseSinkSpec['options'], name: Option): number | undefined {
  const text = options?.[name]?.trim();
  if (text === undefined || text === '') return undefined;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  // The server's own limit for these settings.
  if (!(value <= 2_147_483_647)) throw new KollectError('KOL_SINK_CONFIG', `spec.options.${name} is not a whole number of milliseconds, such as "30000"`);
  return value;
}

/**
 * What is in the catalogue comes before anything that somebody else made under its name, whatever the role or the connection string says; triggers of the
 * table still find what is theirs.
 */
const ownPath = `SELECT pg_catalog.set_config('search_path', pg_catalog.rtrim(pg_catalog.concat('pg_catalog, ', pg_catalog.current_setting('search_path')), ', '), true)`;

/** SET LOCAL ends with the transaction, so that nothing is left in a session that a pooler gives to others. */
function beginStatement(settings: Readonly<Record<string, number | undefined>>): string {
  const set = Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [`; SET LOCAL ${name} = ${value}`]));
  return `BEGIN${set.join('')}; ${ownPath}`;
}

/**
 * What `sslmode` means, as libpq has it, together with `spec.tls`. An authority given by the sink makes TLS a must; without `sslmode`
 * the server's name is verified too.
 */
function tlsSettings(dsn: Dsn, given: { insecure: boolean } & Pick<OpenContext<unknown>, 'ca' | 'clientCertificate'>): TlsSettings {
  const { insecure, ca, clientCertificate } = given;
  const mode: SslMode = dsn.sslmode ?? (ca !== undefined ? 'verify-full' : insecure || clientCertificate !== undefined ? 'require' : 'prefer');
  if (mode === 'disable') {
    if (ca !== undefined) throw new KollectError('KOL_SINK_CONFIG', 'the connection string says sslmode=disable while spec.tls names an authority: remove one of them');
    return { use: 'never', options: {}, title: 'without TLS' };
  }
  const verify = !insecure && (ca !== undefined || mode === 'verify-ca' || mode === 'verify-full');
  const verifyName = verify && mode === 'verify-full';
  const options: ConnectionOptions = {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify,
    // The socket is connected to a numeric address, so the name to verify is given here.
    checkServerIdentity: (_address, certificate) => (verifyName ? checkServerIdentity(dsn.host, certificate) : undefined),
    ...(ca === undefined ? {} : { ca }),
    ...clientCertificate,
    // Server name indication knows no addresses.
    ...(/^[\d.]+$|:/.test(dsn.host) ? {} : { servername: dsn.host }),
  };
  const verified = verifyName ? 'authority and name of the server verified' : verify ? 'authority of the server verified' : 'server not verified';
  return { use: !verify && ca === undefined && (mode === 'allow' || mode === 'prefer') ? 'preferred' : 'required', options, title: `over TLS, ${verified}` };
}
