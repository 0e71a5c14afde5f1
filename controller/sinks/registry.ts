import { KollectError } from '../../shared/errors.ts';
import type { Backend } from './contract.ts';

/** One line a backend. Its client is loaded when the first sink of the type is opened. */
const loaders: Readonly<Record<string, () => Promise<Backend>>> = {
  azureblob: async () => (await import('./azureblob/backend.ts')).azureblob as Backend,
  bigquery: async () => (await import('./bigquery/backend.ts')).bigquery,
  gcs: async () => (await import('./gcs/backend.ts')).gcs as Backend,
  git: async () => (await import('./git/backend.ts')).git as Backend,
  kafka: async () => (await import('./kafka/backend.ts')).kafka as Backend,
  http: async () => (await import('./http/backend.ts')).http as Backend,
  mongodb: async () => (await import('./mongodb/backend.ts')).mongodb as Backend,
  nats: async () => (await import('./nats/backend.ts')).nats as Backend,
  s3: async () => (await import('./s3/backend.ts')).s3 as Backend,
  postgres: async () => (await import('./postgres/backend.ts')).postgres,
};

/** Types that have a backend. */
export const backendTypes: readonly string[] = Object.keys(loaders);

/** Loads only backends of some types. The loader throws `KOL_SINK_DISABLED` for the others. */
export function enabledBackends(types: readonly string[]): (type: string) => Promise<Backend> {
  return async (type) => {
    if (types.includes(type)) return await loadBackend(type);
    throw new KollectError('KOL_SINK_DISABLED', `sinks of type ${JSON.stringify(type)} are switched off here: --sinks of the controller names ${types.join(', ')}`);
  };
}

/** Loads the backend of `spec.type`. Throws `KOL_SINK_NOT_IMPLEMENTED`, and `KOL_SINK_DISABLED` when its client cannot be loaded. */
export async function loadBackend(type: string): Promise<Backend> {
  const load = Object.hasOwn(loaders, type) ? loaders[type] : undefined;
  if (load === undefined) {
    throw new KollectError('KOL_SINK_NOT_IMPLEMENTED', `sinks of type ${JSON.stringify(type)} are not implemented in this version, which has ${backendTypes.join(', ')}`);
  }
  try {
    return await load();
  } catch (cause) {
    throw new KollectError('KOL_SINK_DISABLED', `the client for sinks of type ${JSON.stringify(type)} could not be loaded`, { cause });
  }
}
