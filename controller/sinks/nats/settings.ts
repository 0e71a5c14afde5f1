import { createHash } from 'node:crypto';
import { credsAuthenticator, nanos, nkeyAuthenticator, StorageType, type Authenticator } from 'nats';
import { parseDuration } from '../../../shared/api/duration.ts';
import type { KollectEventSinkSpec } from '../../../shared/api/kollect-event-sink.ts';
import type { natsOptions } from '../../../shared/api/sinks/nats.ts';
import { parseNatsServers, type NatsServer } from '../../../shared/api/sinks/nats-servers.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';

/** What the Secret says of who we are. */
export type Login =
  | { kind: 'none' }
  /** A credentials file: a JWT and the seed that belongs to it. */
  | { kind: 'creds'; creds: string }
  | { kind: 'nkey'; seed: string }
  | { kind: 'token'; token: string }
  | { kind: 'user'; user: string; password: string };

/** Where messages go. */
export interface StreamSettings {
  subject: string;
  stream: string;
  /** The stream must be there, and is never changed. */
  mustExist: boolean;
  /** Of a stream that is created. */
  created: { storage: StorageType; replicas: number; maxAgeNs: number };
}

export interface NatsSinkSettings extends StreamSettings {
  servers: readonly NatsServer[];
  /** The servers without credentials, for messages and fingerprints. */
  title: string;
  login: Login;
  tls: { isRequired: boolean; ca: string | undefined; verifies: boolean; client: { cert: string; key: string } | undefined };
  /** What the server shows of us to its people. */
  clientName: string;
}

type Option = (typeof natsOptions)[number];

const defaultStream = 'kollect_events';

/** Reads spec, Secret and CA. Throws `KOL_SINK_CONFIG`, `KOL_SINK_AUTH` for a key that nobody can log in with, and `KOL_SINK_SECRET_KEY`. */
export function readSettings(context: OpenContext<KollectEventSinkSpec>): NatsSinkSettings {
  const { spec, ca, clientCertificate, name } = context;
  const stream = readStream(spec);
  const servers = readServers(spec);
  const verifies = spec.tls?.insecureSkipVerify !== true;
  const wantsTls = ca !== undefined || clientCertificate !== undefined || !verifies;
  return {
    servers,
    title: servers.map(({ scheme, host, port }) => `${scheme}://${host.toLowerCase()}:${port}`).join(','),
    ...stream,
    login: readLogin(context),
    tls: { isRequired: wantsTls || servers.some(({ scheme }) => scheme === 'tls'), ca, verifies, client: clientCertificate },
    clientName: `kollect ${name}`,
  };
}

/** Reads what of it needs no Secret. Throws `KOL_SINK_CONFIG`. */
export function readStream({ nats, provisioning, options }: KollectEventSinkSpec): StreamSettings {
  if (nats === undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.nats is missing: set url and subject');
  return {
    subject: nats.subject.trim(),
    stream: (nats.stream?.trim() || defaultStream).replaceAll('.', '_'),
    mustExist: provisioning?.mode === 'existing',
    created: readCreated(options),
  };
}

/** Who connects with equal settings shares one connection. A digest, since it covers credentials. */
export function settingsKey({ servers, login, tls, clientName }: NatsSinkSettings): string {
  return `nats ${createHash('sha256').update(JSON.stringify([servers, login, tls, clientName])).digest('hex')}`;
}

/** The Secret with the credentials; the nats block's own wins. */
export function natsSecretRef(spec: KollectEventSinkSpec): KollectEventSinkSpec['secretRef'] {
  return spec.nats?.secretRef ?? spec.secretRef;
}

/** How the client logs in with it. Throws what it throws when it cannot. */
export function authenticatorOf(login: Login): Authenticator | undefined {
  switch (login.kind) {
    case 'creds':
      return credsAuthenticator(Buffer.from(login.creds));
    case 'nkey':
      return nkeyAuthenticator(Buffer.from(login.seed));
    case 'token':
      return () => ({ auth_token: login.token });
    case 'user':
      return () => ({ user: login.user, pass: login.password });
    case 'none':
      return undefined;
  }
}

function readServers({ nats, endpoint }: KollectEventSinkSpec): NatsServer[] {
  const field = nats?.url?.trim() ? 'spec.nats.url' : 'spec.endpoint';
  const text = nats?.url?.trim() || endpoint?.trim();
  if (!text) throw new KollectError('KOL_SINK_CONFIG', 'spec.nats.url is empty: write the servers, such as nats://nats.example.com:4222');
  let servers: NatsServer[];
  try {
    servers = parseNatsServers(text);
  } catch (error) {
    throw new KollectError('KOL_SINK_CONFIG', `${field} ${error instanceof Error ? error.message : String(error)}`);
  }
  if (servers.some(({ user }) => user !== undefined)) throw new KollectError('KOL_SINK_CONFIG', `${field} holds a credential: put it into a Secret, and name that in spec.nats.secretRef`);
  return servers;
}

function readLogin({ secrets, spec }: OpenContext<KollectEventSinkSpec>): Login {
  const creds = secrets.first('creds');
  // The client looks for whole lines.
  if (creds !== undefined) return usable('creds', 'a credentials file, as nsc writes it', { kind: 'creds', creds: `${creds.replaceAll('\r\n', '\n')}\n` });
  const seed = secrets.first('nkey');
  if (seed !== undefined) return usable('nkey', 'the seed of a user, which begins with SU', { kind: 'nkey', seed });
  const token = secrets.first('token');
  if (token !== undefined) return { kind: 'token', token };
  const user = secrets.first('username');
  if (user !== undefined) return { kind: 'user', user, password: secrets.require('password') };
  if (natsSecretRef(spec) !== undefined) secrets.require('creds', 'nkey', 'token', 'username');
  return { kind: 'none' };
}

function usable(key: string, what: string, login: Login): Login {
  try {
    authenticatorOf(login)?.('nonce');
  } catch {
    throw new KollectError('KOL_SINK_AUTH', `the key ${key} of the Secret does not hold ${what}`);
  }
  return login;
}

function readCreated(options: KollectEventSinkSpec['options']): NatsSinkSettings['created'] {
  const option = (name: Option): string => options?.[name]?.trim() ?? '';
  const [storage, replicas, maxAge] = [option('storage') || 'file', option('replicas') || '1', option('maxAge') || '0s'];
  if (storage !== 'file' && storage !== 'memory') throw new KollectError('KOL_SINK_CONFIG', 'spec.options.storage must be file or memory');
  if (!/^[1-5]$/.test(replicas)) throw new KollectError('KOL_SINK_CONFIG', 'spec.options.replicas must be a number from 1 to 5');
  return { storage: storage === 'file' ? StorageType.File : StorageType.Memory, replicas: Number(replicas), maxAgeNs: readAgeNs(maxAge) };
}

function readAgeNs(text: string): number {
  let ms: number;
  try {
    ms = parseDuration(text);
  } catch {
    ms = -1;
  }
  // The server takes no shorter age.
  if (ms !== 0 && ms < 100) throw new KollectError('KOL_SINK_CONFIG', 'spec.options.maxAge must be a duration of 100ms or more, such as 72h');
  return nanos(ms);
}
