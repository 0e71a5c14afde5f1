import type { KubeObject } from '../shared/api/kube-object.ts';
import { KollectError } from '../shared/errors.ts';
import type { ObjectCache } from '../shared/kube/object-cache.ts';
import type { OpenSink } from './inventory/binding.ts';
import type { SinkDirectory } from './inventory/sink-directory.ts';
import { checkObject } from './object-check.ts';
import type { SinkFamily } from './sinks/contract.ts';
import { openSink, type OpenSinkOptions, type SinkObject } from './sinks/runtime/open-sink.ts';
import { SinkGate } from './sinks/runtime/sink-gate.ts';

interface Runtime extends Omit<OpenSinkOptions, 'sink' | 'installation'> {
  installation: () => Promise<string | undefined>;
}

/** Kind of the sink objects of a family. */
export const sinkKinds = {
  snapshot: 'KollectSnapshotSink',
  database: 'KollectDatabaseSink',
  event: 'KollectEventSink',
} as const satisfies Record<SinkFamily, string>;

/** Finds sinks among the watched objects and opens them through the sink runtime. */
export class CachedSinkDirectory implements SinkDirectory {
  readonly #caches: Record<SinkFamily, ObjectCache<KubeObject>>;
  readonly #runtime: Runtime;
  /** One for each server that was ever opened. */
  readonly #gates = new Map<string, SinkGate>();

  constructor(caches: Record<SinkFamily, ObjectCache<KubeObject>>, runtime: Runtime) {
    this.#caches = caches;
    this.#runtime = runtime;
  }

  intervalOf(family: SinkFamily, namespace: string, name: string): string | undefined {
    const spec = this.#caches[family].get(`${namespace}/${name}`)?.['spec'] as { exportMinInterval?: string } | undefined;
    return spec?.exportMinInterval;
  }

  async open(family: SinkFamily, namespace: string, name: string): Promise<OpenSink> {
    const kind = sinkKinds[family];
    const raw = this.#caches[family].get(`${namespace}/${name}`);
    if (!raw) throw new KollectError('KOL_SINK_NOT_FOUND', `no ${kind} "${name}" in namespace "${namespace}"`);
    const checked = checkObject<SinkObject>(kind, raw, this.#runtime.policy);
    if (!checked.object) throw new KollectError('KOL_SINK_CONFIG', `${kind} "${name}": ${checked.message}`);
    const { sink, backend, server, fingerprint } = await openSink({ ...this.#runtime, installation: await this.#runtime.installation(), sink: checked.object });
    let queue = this.#gates.get(server);
    if (queue === undefined) this.#gates.set(server, (queue = new SinkGate(backend.capabilities.concurrency)));
    return { sink, type: backend.type, cluster: checked.object.spec.cluster?.trim() ?? '', fingerprint, queue };
  }

  onChange(listener: (family: SinkFamily, namespace: string, name: string) => void): void {
    for (const family of Object.keys(this.#caches) as SinkFamily[]) {
      const generations = new Map<string, string>();
      this.#caches[family].onChange((key, object) => {
        const generation = object && `${object.metadata.uid}/${object.metadata.generation}`;
        if (generations.get(key) === generation) return;
        if (generation) generations.set(key, generation);
        else generations.delete(key);
        const slash = key.indexOf('/');
        listener(family, key.slice(0, slash), key.slice(slash + 1));
      });
    }
  }
}
