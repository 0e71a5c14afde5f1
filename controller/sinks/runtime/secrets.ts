import { inspect } from 'node:util';
import { annotations } from '../../../shared/api/annotations.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { SecretValues } from '../contract.ts';

/** The parts of a Secret that are read. Values are base64, as the API server gives them. */
export interface SecretObject {
  metadata?: { resourceVersion?: string | undefined; annotations?: Readonly<Record<string, string>> | undefined };
  data?: Readonly<Record<string, string>> | undefined;
}

/** Reads a Secret; undefined when there is none. */
export type ReadSecret = (namespace: string, name: string) => Promise<SecretObject | undefined>;

export interface SecretRef {
  name: string;
  namespace?: string | undefined;
}

export interface ResolvedSecret {
  /** `<namespace>/<name>`. */
  key: string;
  resourceVersion: string;
  values: SecretValues;
}

/** The Secret with the grant of its namespace, unless it has one of its own. Its version tells of that too. */
export function withGrant(secret: SecretObject, ofNamespace: string | undefined): SecretObject {
  const { resourceVersion = '', annotations: own } = secret.metadata ?? {};
  if (ofNamespace === undefined || own?.[annotations.grantTo] !== undefined) return secret;
  return { ...secret, metadata: { resourceVersion: `${resourceVersion} ${ofNamespace}`, annotations: { ...own, [annotations.grantTo]: ofNamespace } } };
}

/**
 * Reads the Secret that a sink names. A reference without a namespace means the sink's own. Throws `KOL_SINK_SECRET` when it is missing,
 * `KOL_SINK_SECRET_GRANT` when its owner grants it to others only, and `KOL_SINK_SECRET_UNREADABLE` when the API server does not give it.
 */
export async function resolveSecret(ref: SecretRef, sinkNamespace: string, readSecret: ReadSecret): Promise<ResolvedSecret> {
  const namespace = ref.namespace?.trim() || sinkNamespace;
  const title = `secret "${ref.name}" in namespace "${namespace}"`;
  let secret: SecretObject | undefined;
  try {
    secret = await readSecret(namespace, ref.name);
  } catch (cause) {
    throw new KollectError('KOL_SINK_SECRET_UNREADABLE', `${title} could not be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  if (secret === undefined) throw new KollectError('KOL_SINK_SECRET', `${title} not found: create it, or correct the reference of the sink`);
  const grant = secret.metadata?.annotations?.[annotations.grantTo];
  if (grant !== undefined && namespace !== sinkNamespace && !grant.split(',').some((granted) => granted.trim() === sinkNamespace)) {
    const wish = `add "${sinkNamespace}" to the annotation ${annotations.grantTo} of the Secret or its namespace`;
    throw new KollectError('KOL_SINK_SECRET_GRANT', `${title} is not granted to sinks of namespace "${sinkNamespace}": ${wish}, or use a Secret of that namespace`);
  }
  const data = new Map(Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
  return { key: `${namespace}/${ref.name}`, resourceVersion: secret.metadata?.resourceVersion ?? '', values: secretValues(title, data) };
}

/** The values of a sink that reads no Secret. */
export const noSecret: SecretValues = secretValues('the sink names no Secret, so it', new Map());

/** Who logs in is no secret, and often part of the names of things. */
const shownKeys: ReadonlySet<string> = new Set(['username', 'accountName', 'AZURE_STORAGE_ACCOUNT', 'tenantID', 'AZURE_TENANT_ID', 'clientID', 'AZURE_CLIENT_ID']);

function secretValues(title: string, data: ReadonlyMap<string, string>): SecretValues {
  const first = (...keys: string[]): string | undefined => {
    for (const key of keys) {
      const value = data.get(key)?.trim();
      if (value) return value;
    }
    return undefined;
  };
  const values: SecretValues = {
    first,
    require: (...keys) => {
      const value = first(...keys);
      if (value !== undefined) return value;
      const wanted = keys.length === 1 ? `the key ${keys[0]}` : `any of the keys ${keys.join(', ')}`;
      throw new KollectError('KOL_SINK_SECRET_KEY', `${title} does not hold ${wanted}: add it with a value that is not blank`);
    },
    entries: () => [...data.keys()].flatMap((key) => {
      const value = first(key);
      return value === undefined ? [] : [[key, value] as const];
    }),
    values: () => {
      const username = data.get('username');
      const hidden = [...data].flatMap(([key, value]) => (shownKeys.has(key) ? [] : [value]));
      // Together with what it logs in with: that is how it is sent, in base64.
      return username === undefined ? hidden : [...hidden, ...hidden.map((value) => `${username.trim()}:${value.trim()}`)];
    },
  };
  // Whoever logs it, in whatever way, sees nothing.
  return Object.defineProperties(values, {
    toJSON: { value: () => '***' },
    toString: { value: () => '***' },
    [inspect.custom]: { value: () => '***' },
  });
}
