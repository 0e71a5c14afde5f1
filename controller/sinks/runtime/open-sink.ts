import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { SinkTls } from '../../../shared/api/sink-common.ts';
import type { AddressPolicy } from '../../../shared/net/address-policy.ts';
import type { HostMap } from '../../../shared/net/host-map.ts';
import type { Backend, Capabilities, OpenContext, SecretValues, SharedResources, Sink } from '../contract.ts';
import { loadBackend } from '../registry.ts';
import { resolveCa, resolveClientCertificate } from './ca.ts';
import { createDialer, type DialerOptions } from './dialer.ts';
import { defaultBudgets, withinBudget, type Budgets } from './deadline.ts';
import { sanitizedError } from './errors.ts';
import { createSanitizer, type Sanitize } from './sanitize.ts';
import { noSecret, resolveSecret, type ReadSecret, type ResolvedSecret } from './secrets.ts';
import { CountedResources } from './shared-resources.ts';

/** Version of what rows look like at a destination. Raising it makes every sink compare everything once. */
const projectionVersion = 1;

/** A parsed sink object of any family. */
export interface SinkObject {
  kind: string;
  metadata: { name: string; namespace?: string | undefined };
  spec: { type: string; cluster?: string | undefined; tls?: z.infer<typeof SinkTls> | undefined; [field: string]: unknown };
}

export interface OpenSinkOptions {
  sink: SinkObject;
  readSecret: ReadSecret;
  policy: AddressPolicy;
  /** Addresses of hosts that this machine cannot resolve. For development. */
  mapHosts?: HostMap | undefined;
  /** See `DialerOptions`. */
  lookupAll?: DialerOptions['lookupAll'];
  /** Shared by all sinks of the process, so that sinks of one destination use one connection pool. Of this sink alone when unset. */
  shared?: SharedResources | undefined;
  /** Called before each commit, see `OpenContext`; without one, this process is the only writer. */
  fence?: OpenContext<unknown>['fence'] | undefined;
  epoch?: OpenContext<unknown>['epoch'];
  /** Uid of the installation; ownership is neither recorded nor checked without one. */
  installation?: string | undefined;
  /** Other budgets than those of all sinks. */
  budgets?: Partial<Budgets> | undefined;
  /** Finds the backend of a type; the registry when unset. */
  load?: ((type: string) => Promise<Backend>) | undefined;
}

export interface OpenedSink {
  sink: Sink;
  backend: Backend;
  granularity: Capabilities['granularity'];
  /** SHA-256 of the server, in hex: passes at one server wait for each other. */
  server: string;
  /** SHA-256 of destination, cluster and projection, in hex. Credentials are no part of it. */
  fingerprint: string;
  /** The destination and the cluster, for people. */
  place: string;
  /** See `Backend.refusesLateWrites`. */
  refusesLateWrites: boolean;
  /** resourceVersion of each Secret that was read, by `<namespace>/<name>`. */
  secretVersions: ReadonlyMap<string, string>;
}

/**
 * Opens the destination of a sink object: the only way to one, so that no backend can forget Secrets, authorities, the address guard
 * or the sanitizer. Nothing is dialled yet. Throws `KollectError`, as everything does that leaves the sink.
 */
export async function openSink(options: OpenSinkOptions): Promise<OpenedSink> {
  const { sink: object, readSecret, shared = new CountedResources(), fence = () => undefined, epoch, installation, load = loadBackend, budgets } = options;
  const { spec, metadata } = object;
  const namespace = metadata.namespace ?? '';
  const read: ResolvedSecret[] = [];
  let sanitize = createSanitizer([]);
  try {
    const backend = await load(spec.type);
    const secrets = await readBackendSecret(backend, object, readSecret, read);
    const otherSecrets: Record<string, SecretValues> = {};
    for (const [use, ref] of Object.entries(backend.otherSecretRefs?.(spec) ?? {})) {
      const secret = await resolveSecret(ref, namespace, readSecret);
      read.push(secret);
      otherSecrets[use] = secret.values;
    }
    sanitize = createSanitizer(read.flatMap(({ values }) => values.values()));
    const ca = await resolveCa(spec.tls, namespace, readSecret);
    if (ca.secret) read.push(ca.secret);
    const client = await resolveClientCertificate(spec.tls, namespace, readSecret);
    if (client) read.push(client.secret);
    sanitize = createSanitizer(read.flatMap(({ values }) => values.values()));
    const context: OpenContext<unknown> = {
      spec,
      name: `${namespace}/${metadata.name}`,
      secrets,
      otherSecrets,
      ca: ca.pem,
      clientCertificate: client && { cert: client.cert, key: client.key },
      dialer: createDialer(options),
      shared,
      fence,
      epoch,
      installation,
    };
    const cluster = spec.cluster?.trim() ?? '';
    const fingerprint = hash(backend.type, backend.destination(context), cluster, String(projectionVersion));
    const place = `${backend.place(context)}${cluster === '' ? '' : ` as cluster ${JSON.stringify(cluster)}`}`;
    const sink = guarded(await backend.open(context), sanitize, { ...defaultBudgets, ...budgets });
    const secretVersions = new Map(read.map(({ key, resourceVersion }) => [key, resourceVersion]));
    return { sink, backend, granularity: backend.granularity?.(spec) ?? backend.capabilities.granularity, server: hash(backend.type, backend.server(context)), fingerprint, place, refusesLateWrites: backend.refusesLateWrites(context), secretVersions };
  } catch (error) {
    throw sanitizedError(error, sanitize);
  }
}

async function readBackendSecret(backend: Backend, { spec, metadata }: SinkObject, readSecret: ReadSecret, read: ResolvedSecret[]): Promise<SecretValues> {
  const ref = backend.secretRef(spec);
  if (ref === undefined) return noSecret;
  const secret = await resolveSecret(ref, metadata.namespace ?? '', readSecret);
  read.push(secret);
  return secret.values;
}

/** Lengths before the parts: no two lists of parts make the same text. */
function hash(...parts: readonly string[]): string {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(`${Buffer.byteLength(part)}:${part}`);
  return digest.digest('hex');
}

/** Lets nothing out that was not sanitized, and nobody wait for ever. */
function guarded(sink: Sink, sanitize: Sanitize, budgets: Budgets): Sink {
  const guard = async <T>(signal: AbortSignal, budgetMs: number | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    try {
      // Called in here, so that an error before the first await does not slip by either.
      return await withinBudget(signal, budgetMs, budgets.reaction, async (both) => await work(both));
    } catch (error) {
      throw sanitizedError(error, sanitize);
    }
  };
  return {
    probe: async (signal) => {
      const result = await guard(signal, budgets.probe, (both) => sink.probe(both));
      return { ...result, message: sanitize(result.message) };
    },
    check: (identity, signal, counts) => guard(signal, budgets.check, (both) => sink.check(identity, both, counts)),
    ...(sink.differing && { differing: (identity, rows, signal) => guard(signal, budgets.check, (both) => sink.differing!(identity, rows, both)) }),
    ...(sink.held && {
      async *held(identity, signal) {
        try {
          yield* sink.held!(identity, signal);
        } catch (error) {
          throw sanitizedError(error, sanitize);
        }
      },
    }),
    write: async (change, signal) => {
      const result = await guard(signal, undefined, (both) => sink.write(change, both));
      return { ...result, rejected: result.rejected.map((row) => ({ ...row, message: sanitize(row.message) })) };
    },
    remove: (identity, isOwn, signal) => guard(signal, budgets.remove, (both) => sink.remove(identity, isOwn, both)),
    close: () => guard(new AbortController().signal, budgets.check, () => sink.close()),
  };
}
