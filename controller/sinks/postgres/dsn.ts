import { KollectError } from '../../../shared/errors.ts';

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

const sslModes: ReadonlySet<string> = new Set(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']);

/** What a connection string says. Parameters that only other drivers know are ignored. */
export interface Dsn {
  host: string;
  port: number;
  user: string;
  password: string | undefined;
  database: string;
  /** Undefined when the string leaves it open. */
  sslmode: SslMode | undefined;
  /** `channel_binding=require`: the login must be bound to the TLS session. */
  channelBinding: boolean;
  connectTimeoutMs: number | undefined;
  /** `options`, such as `-c search_path=app`. */
  options: string | undefined;
}

const defaultPort = 5432;

/**
 * Reads a URL (`postgres://user:password@host:5432/database?sslmode=require`) or a list of pairs (`host=… user='…'`). Throws
 * `KOL_SINK_CONFIG` with a message that repeats nothing of the text.
 */
export function parseDsn(text: string): Dsn {
  const fields = /^postgres(?:ql)?:\/\//i.test(text) ? fromUrl(text) : fromPairs(text);
  const host = fields.get('host') ?? '';
  if (host === '') throw invalid('names no host');
  if (host.startsWith('/') || host.startsWith('@')) throw invalid('names a socket of the local machine: write a host');
  if (host.includes(',') || fields.get('port')?.includes(',')) throw invalid('names several hosts: write one');
  const user = fields.get('user') ?? '';
  if (user === '') throw invalid('names no user');
  for (const file of ['sslcert', 'sslkey', 'sslcrl', 'service', 'passfile']) {
    if (fields.has(file)) throw invalid(`sets ${file}, which names a file that does not exist here${file.startsWith('ssl') ? ': use spec.tls.clientCertificateSecretRef' : ''}`);
  }
  if (fields.has('sslrootcert') && fields.get('sslrootcert') !== 'system') {
    throw invalid('sets sslrootcert, which names a file that does not exist here: use spec.tls.caSecretRef or spec.tls.caBundle');
  }
  const sslmode = fields.get('sslmode');
  if (sslmode !== undefined && !sslModes.has(sslmode)) throw invalid(`sets sslmode to something else than ${[...sslModes].join(', ')}`);
  const seconds = fields.get('connect_timeout');
  if (seconds !== undefined && !/^\d{1,5}$/.test(seconds)) throw invalid('sets connect_timeout to something that is no number of seconds');
  return {
    host,
    port: portOf(fields.get('port')),
    user,
    password: fields.get('password') || undefined,
    database: fields.get('dbname') || user,
    sslmode: (sslmode as SslMode | undefined) ?? (fields.get('sslrootcert') === 'system' ? 'verify-full' : undefined),
    channelBinding: fields.get('channel_binding') === 'require',
    connectTimeoutMs: seconds === undefined || Number(seconds) === 0 ? undefined : Number(seconds) * 1000,
    options: fields.get('options') || undefined,
  };
}

function fromUrl(text: string): Map<string, string> {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    if (hasBadPort(text)) throw badPort();
    throw invalid('is no URL that can be read: percent-encode the characters of user and password that have a meaning in URLs, such as / # ? @ : %');
  }
  const fields = new Map<string, string>();
  const set = (name: string, value: string) => {
    if (value !== '') fields.set(name, value);
  };
  set('host', decode(url.hostname).replace(/^\[(.*)\]$/, '$1'));
  set('port', url.port);
  set('user', decode(url.username));
  set('password', decode(url.password));
  set('dbname', decode(url.pathname.slice(1)));
  for (const [name, value] of url.searchParams) set(name === 'ssl' ? 'sslmode' : name, name === 'ssl' ? (value === 'true' ? 'require' : 'disable') : value);
  return fields;
}

function fromPairs(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  const pattern = /\s*([a-z_]+)\s*=\s*(?:'((?:\\.|[^'\\])*)'|((?:\\.|[^\s'\\])*))(?=\s|$)/gsy;
  const end = text.trimEnd().length;
  while (pattern.lastIndex < end) {
    const match = pattern.exec(text);
    if (match === null) throw invalid('is neither a URL (postgres://user:password@host:5432/database) nor a list of pairs (host=… user=…)');
    const [, name = '', quoted, plain = ''] = match;
    fields.set(name, (quoted ?? plain).replaceAll(/\\(.)/gs, '$1'));
  }
  return fields;
}

function portOf(text: string | undefined): number {
  if (text === undefined) return defaultPort;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw badPort();
  return port;
}

/** The port is what keeps the URL from being read, and not a character of the password. */
function hasBadPort(url: string): boolean {
  const [, authority = '', rest = ''] = /^[^:]+:\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  const port = /^(?:.*@)?(?:\[[^\]]*\]|[^:@]*):([^:@]*)$/s.exec(authority)?.[1];
  return port !== undefined && !rest.includes('@') && !(/^\d*$/.test(port) && Number(port) <= 65_535);
}

function badPort(): KollectError {
  return invalid('has a port that is not a number from 1 to 65535');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('holds a percent sign that begins no percent-encoding: write it as %25');
  }
}

function invalid(problem: string): KollectError {
  return new KollectError('KOL_SINK_CONFIG', `the connection string in the Secret ${problem}`);
}
