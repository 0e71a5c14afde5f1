import { setTimeout as pause } from 'node:timers/promises';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { CompiledProfile } from '../../shared/extract/compile-profile.ts';
import type { ResourceRows } from '../collect/resource-rows.ts';
import type { RowStore } from '../collect/row-store.ts';
import type { Row } from '../collect/row.ts';
import type { TargetRows } from '../collect/target-rows.ts';
import { sampleRows, type RowSample } from './row-sample.ts';

/** A scrape waits this long for new sums, and otherwise shows those from before: Prometheus gives up after ten seconds. */
const longestWaitMs = 3_000;
/** At most a twentieth of the time goes into sums, however many rows there are. */
const idleShare = 20;

const targetLabels = ['target_namespace', 'target_name', 'profile', 'gvk'] as const;

interface Sampled {
  profile: CompiledProfile;
  revision: number;
  /** Monotonic milliseconds. */
  at: number;
  durationMs: number;
  sample: RowSample;
  /** Computations that left out label sets, by series. */
  capped: Map<string, number>;
}

/**
 * The metrics that profiles ask for, by target and kind. They are computed when they are scraped, from the rows that are there: what left is
 * counted no more, and a target that is gone has no series.
 */
export class ProfileMetrics {
  readonly #store: RowStore;
  readonly #intervalMs: number;
  readonly #samples = new Map<ResourceRows, Sampled>();
  #running: Promise<void> | undefined;

  /** `intervalMs` is the least time between two computations over the rows of one target; 0: at every scrape after a change. */
  constructor(options: { store: RowStore; registry: Registry; intervalMs: number }) {
    const { store, registry } = options;
    this.#store = store;
    this.#intervalMs = options.intervalMs;
    const registers = [registry];
    new Gauge({
      name: 'kollect_collected_objects',
      help: 'Rows of a target, by kind.',
      labelNames: targetLabels,
      registers,
      collect() {
        this.reset();
        for (const { resource, count } of resourcesOf(store)) if (resource.profile) this.set(labelsOf(resource, resource.profile), count);
      },
    });
    registry.registerMetric(
      new ComputedGauge({ name: 'kollect_custom_resource_series', help: 'Sums over the rows of a target, as its profile asks for.' }, async () => {
        await this.#refresh();
        return [...this.#sampled()].flatMap(([{ resource, count }, { profile, sample }]) => {
          const own = sample.plain.some(({ series }) => series === 'object_count') ? [] : [{ series: 'object_count', value: count }];
          return [...own, ...sample.plain].map(({ series, value }) => ({ labels: { ...labelsOf(resource, profile), series }, value }));
        });
      }),
    );
    registry.registerMetric(
      new ComputedGauge({ name: 'kollect_custom_resource_labeled_series', help: 'The same by the values of attributes.' }, async () => {
        await this.#refresh();
        return [...this.#sampled()].flatMap(([{ resource }, { profile, sample }]) =>
          sample.labeled.map(({ series, labels, value }) => ({ labels: { ...labels, ...labelsOf(resource, profile), series }, value })),
        );
      }),
    );
    const sampled = async (): Promise<Iterable<[Resource, Sampled]>> => {
      await this.#refresh();
      return this.#sampled();
    };
    new Counter({
      name: 'kollect_custom_resource_labeled_series_capped_total',
      help: 'Computations that left out label sets, because a series had too many.',
      labelNames: [...targetLabels, 'series'],
      registers,
      async collect() {
        const latest = await sampled();
        this.reset();
        for (const [{ resource }, { profile, capped }] of latest) for (const [series, count] of capped) this.inc({ ...labelsOf(resource, profile), series }, count);
      },
    });
  }

  *#sampled(): Generator<[Resource, Sampled]> {
    for (const of of resourcesOf(this.#store)) {
      const sampled = this.#samples.get(of.resource);
      if (sampled) yield [of, sampled];
    }
  }

  /** Several metrics are scraped at once, and computed once. */
  async #refresh(): Promise<void> {
    this.#running ??= this.#sampleWhatIsDue().finally(() => (this.#running = undefined));
    const waiting = new AbortController();
    await Promise.race([this.#running, pause(longestWaitMs, undefined, { signal: waiting.signal, ref: false }).catch(() => undefined)]);
    waiting.abort();
  }

  async #sampleWhatIsDue(): Promise<void> {
    const all = [...resourcesOf(this.#store)];
    const known = new Set(all.map(({ resource }) => resource));
    for (const resource of this.#samples.keys()) if (!known.has(resource)) this.#samples.delete(resource);
    for (const { target, resource, rows } of all) {
      const { profile } = resource;
      const { revision } = target;
      if (!profile || !this.#isDue(resource, revision, profile)) continue;
      const at = performance.now();
      const sample = await sampleRows(rows, profile);
      const capped = new Map(this.#samples.get(resource)?.capped);
      for (const series of sample.capped) capped.set(series, (capped.get(series) ?? 0) + 1);
      this.#samples.set(resource, { profile, revision, at, durationMs: performance.now() - at, sample, capped });
    }
  }

  #isDue(resource: ResourceRows, revision: number, profile: CompiledProfile): boolean {
    const last = this.#samples.get(resource);
    if (last?.profile !== profile) return true;
    if (last.revision === revision) return false;
    return this.#intervalMs === 0 || performance.now() - last.at >= Math.max(this.#intervalMs, idleShare * last.durationMs);
  }
}

type Labels = Record<string, string>;

/** What a target has of one kind. */
interface Resource {
  target: TargetRows;
  resource: ResourceRows;
  count: number;
  rows: Iterable<Row>;
}

function* resourcesOf(store: RowStore): Generator<Resource> {
  for (const target of store.targets()) for (const of of target.byResource()) yield { target, ...of };
}

function labelsOf(rows: ResourceRows, { name, gvk }: CompiledProfile): Record<(typeof targetLabels)[number], string> {
  return { target_namespace: rows.namespace, target_name: rows.name, profile: name, gvk: `${gvk.group}/${gvk.version}/${gvk.kind}` };
}

/** A gauge whose series may have labels of their own each; one of prom-client has the same for all. */
class ComputedGauge extends Gauge {
  readonly #compute: () => Promise<{ labels: Labels; value: number }[]>;

  constructor(names: { name: string; help: string }, compute: () => Promise<{ labels: Labels; value: number }[]>) {
    super({ ...names, registers: [] });
    this.#compute = compute;
  }

  override async get(): ReturnType<Gauge['get']> {
    return { ...(await super.get()), values: await this.#compute() };
  }
}
