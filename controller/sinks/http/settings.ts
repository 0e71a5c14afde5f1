import { createHash } from 'node:crypto';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import { parseHttpEndpoint } from '../../../shared/api/sinks/http-endpoint.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';
import type { AgentTls } from '../runtime/guarded-agent.ts';

export interface HttpSinkSettings {
  url: URL;
  /** The address without users and query, for messages. */
  title: string;
  method: 'POST' | 'PUT' | 'PATCH';
  /** Of the Secrets, the login among them. */
  headers: Readonly<Record<string, string>>;
  signature: { header: string; algorithm: 'sha256' | 'sha512'; key: string } | undefined;
  tls: AgentTls;
}

/** What HTTP needs for itself. */
const ownHeaders: ReadonlySet<string> = new Set(['connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host', 'idempotency-key', 'te', 'trailer', 'transfer-encoding', 'upgrade']);

/** The Secret with the login. */
export function httpSecretRef({ http, secretRef }: KollectSnapshotSinkSpec): KollectSnapshotSinkSpec['secretRef'] {
  return http?.auth?.secretRef ?? secretRef;
}

/** Reads spec, Secrets and CA. Throws `KOL_SINK_CONFIG` and `KOL_SINK_SECRET_KEY`. */
export function readSettings(context: OpenContext<KollectSnapshotSinkSpec>): HttpSinkSettings {
  const { spec, ca, clientCertificate, otherSecrets } = context;
  const url = readUrl(spec.endpoint);
  const { http } = spec;
  const algorithm = http?.signature?.algorithm === 'hmac-sha512' ? 'sha512' : 'sha256';
  const headers: Record<string, string> = { ...readLogin(context) };
  for (const [name, value] of otherSecrets['headers']?.entries() ?? []) {
    if (ownHeaders.has(name.toLowerCase())) throw new KollectError('KOL_SINK_CONFIG', `the Secret of spec.http.headersSecretRef has the key ${name}, which is a header with a meaning of its own: remove it`);
    headers[name.toLowerCase()] = verified(name, value);
  }
  return {
    url,
    title: `${url.origin}${url.pathname}`,
    method: http?.method ?? 'POST',
    headers,
    signature: otherSecrets['signature'] && { header: (http?.signature?.header?.trim() || 'X-Kollect-Signature').toLowerCase(), algorithm, key: otherSecrets['signature'].require('key') },
    tls: { ca, verifies: spec.tls?.insecureSkipVerify !== true, client: clientCertificate },
  };
}

/** Who sends with equal settings shares connections. A digest, since it covers credentials. */
export function settingsKey({ url, tls }: HttpSinkSettings): string {
  return `http ${createHash('sha256').update(JSON.stringify([url.origin, tls])).digest('hex')}`;
}

function readUrl(text = ''): URL {
  if (text.trim() === '') throw new KollectError('KOL_SINK_CONFIG', 'spec.endpoint is empty: write the address that documents are sent to');
  try {
    const { scheme, host, port, path, query } = parseHttpEndpoint(text.trim());
    return new URL(`${scheme}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}${path}${query === '' ? '' : `?${query}`}`);
  } catch (error) {
    throw new KollectError('KOL_SINK_CONFIG', `spec.endpoint ${error instanceof KollectError ? error.message : 'cannot be read as an address'}`);
  }
}

function readLogin({ spec, secrets }: OpenContext<KollectSnapshotSinkSpec>): Record<string, string> {
  if (httpSecretRef(spec) === undefined) return {};
  const type = spec.http?.auth?.type ?? (secrets.first('token') !== undefined ? 'bearer' : 'basic');
  if (type === 'bearer') return { authorization: verified('token', `Bearer ${secrets.require('token')}`) };
  if (spec.http?.auth?.type === undefined && secrets.first('username') === undefined) secrets.require('token', 'username');
  return { authorization: `Basic ${Buffer.from(`${secrets.require('username')}:${secrets.first('password') ?? ''}`).toString('base64')}` };
}

function verified(name: string, value: string): string {
  try {
    if (name !== 'token') validateHeaderName(name);
    validateHeaderValue(name, value);
    return value;
  } catch {
    throw new KollectError('KOL_SINK_CONFIG', `the key ${JSON.stringify(name)} of a Secret cannot be sent as a header: use letters, digits and "-" in its name, and one line of plain characters as its value`);
  }
}
