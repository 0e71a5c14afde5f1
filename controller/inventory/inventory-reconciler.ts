import { annotations, finalizers } from '../../shared/api/annotations.ts';
import { parseDuration } from '../../shared/api/duration.ts';
import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { sinkBindings, type SinkBinding } from '../../shared/api/sink-ref.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';
import { addFinalizer, removeFinalizer } from '../../shared/kube/finalizers.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import type { Logger } from '../../shared/log.ts';
import type { RowStore } from '../collect/row-store.ts';
import type { ScopeJudge } from '../collect/scope-judge.ts';
import { checkObject } from '../object-check.ts';
import { StatusWriter } from '../observe/status-writer.ts';
import { recordTransition } from '../observe/transitions.ts';
import { Binding, type BindingObserver, type BindingOptions } from './binding.ts';
import { allExportedSinks, cleanupStatus, exportedSink, keptDestinations, retainsRows, sinkExports, type ExportedSink } from './cleanup.ts';
import { inventoryStatus } from './inventory-status.ts';
import { Removal } from './removal.ts';
import type { SinkDirectory } from './sink-directory.ts';
import { InventoryView, type ViewTarget } from './view.ts';

const defaultIntervalMs = 30_000;
/** Status that only counts is looked at this often while rows change. */
const progressDelayMs = 1_000;
/** Characters of a request that status repeats. */
const longestRequest = 256;

export interface InventoryReconcilerOptions {
  client: KubeClient;
  inventories: ObjectCache<KubeObject>;
  sinks: SinkDirectory;
  scopes: Pick<ScopeJudge, 'exportFloorMs' | 'onChange'>;
  store: RowStore;
  isSynced: (target: ViewTarget) => boolean;
  /** See `BindingOptions`. */
  frozen?: BindingOptions['frozen'];
  /** See `BindingOptions`. */
  isTurning: (target: ViewTarget) => boolean;
  events: EventRecorder;
  logger: Logger;
  observer: BindingObserver;
}

/** What runs for one inventory. */
interface Runtime {
  object: KubeObject;
  view: InventoryView;
  bindings: Map<string, Binding>;
  removals: Map<string, Removal>;
  /** The inventory is being deleted: nothing is exported any more, and all removals were begun. */
  cleaning: boolean;
  blocked: { reason: string; message: string } | undefined;
  /** Generation that the bindings were built for. */
  generation: number;
  /** Value of the annotation that asked for a comparison last. */
  asked: string | undefined;
  statusTimer: NodeJS.Timeout | undefined;
}

/** Runs a view and its bindings for every KollectInventory, and keeps status true. */
export class InventoryReconciler {
  readonly #options: InventoryReconcilerOptions;
  readonly #queue: WorkQueue<string>;
  readonly #status: StatusWriter;
  readonly #runtimes = new Map<string, Runtime>();
  readonly #views = new Map<string, Set<InventoryView>>();

  constructor(options: InventoryReconcilerOptions) {
    this.#options = options;
    this.#status = new StatusWriter({
      client: options.client,
      plural: 'kollectinventories',
      logger: options.logger,
      onTransition: (object, before, after) => recordTransition(options.events, object, before, after),
    });
    this.#queue = new WorkQueue({ name: 'kollectinventory', reconcile: (key) => this.#reconcile(key), logger: options.logger });
  }

  start(): void {
    const { inventories, scopes, sinks, store } = this.#options;
    store.subscribe({
      row: (target, before, after) => {
        for (const view of this.#views.get(target.namespace) ?? []) view.rowChanged(target, before, after);
      },
      left: (target, uid) => {
        for (const view of this.#views.get(target.namespace) ?? []) view.rowLeft(target, uid);
      },
      opened: (target) => {
        for (const view of this.#views.get(target.namespace) ?? []) view.addTarget(target);
      },
      closed: (target) => {
        for (const view of this.#views.get(target.namespace) ?? []) view.removeTarget(target);
      },
    });
    sinks.onChange((family, namespace, name) => {
      for (const [key, runtime] of this.#runtimes) {
        const removal = runtime.removals.get(`${family}/${name}`);
        if (removal?.namespace === namespace) removal.retry();
        const binding = runtime.bindings.get(`${family}/${name}`);
        if (binding?.options.namespace !== namespace) continue;
        binding.reopen();
        this.#queue.add(key);
      }
    });
    scopes.onChange('KollectInventory', (namespace) => {
      for (const [key, { view }] of this.#runtimes) if (namespace === undefined || view.namespace === namespace) this.#queue.add(key);
    });
    inventories.onChange((key) => this.#queue.add(key));
    for (const inventory of inventories.list()) this.#queue.add(keyOf(inventory));
  }

  /** A target of the namespace is synced now, or not any more. */
  targetsChanged(namespace: string): void {
    for (const [key, runtime] of this.#runtimes) {
      if (runtime.view.namespace !== namespace) continue;
      for (const binding of runtime.bindings.values()) binding.poke();
      this.#queue.add(key);
    }
  }

  /** Bindings of all inventories, for metrics. */
  *bindings(): Generator<{ inventory: string; binding: Binding }> {
    for (const [inventory, runtime] of this.#runtimes) {
      for (const binding of runtime.bindings.values()) yield { inventory, binding };
    }
  }

  async stop(): Promise<void> {
    await this.#queue.stop();
    this.#status.stop();
    await Promise.all([...this.#runtimes.keys()].map((key) => this.#drop(key)));
  }

  async #reconcile(key: string): Promise<void> {
    const { client, inventories } = this.#options;
    const raw = inventories.get(key);
    if (!raw) {
      await this.#drop(key);
      return;
    }
    const known = this.#runtimes.get(key);
    const replaced = known !== undefined && raw.metadata.uid !== known.object.metadata.uid;
    if (replaced) await this.#drop(key);
    if (raw.metadata.deletionTimestamp) {
      await this.#cleanUp(key, raw);
      return;
    }
    await addFinalizer(client, 'kollectinventories', raw, finalizers.inventory);
    const runtime = this.#runtime(key, raw);
    runtime.object = raw;
    await this.#arrange(key, runtime);
    this.#submitStatus(runtime);
  }

  #runtime(key: string, raw: KubeObject): Runtime {
    const known = this.#runtimes.get(key);
    if (known) return known;
    const namespace = raw.metadata.namespace ?? '';
    const view = new InventoryView(namespace, () => {
      for (const binding of runtime.bindings.values()) binding.poke();
      runtime.statusTimer ??= setTimeout(() => this.#submitStatus(runtime), progressDelayMs);
    });
    const runtime: Runtime = {
      object: raw,
      view,
      bindings: new Map(),
      removals: new Map(),
      cleaning: false,
      blocked: undefined,
      generation: 0,
      asked: (raw['status'] as KollectInventory['status'])?.lastHandledReconcile,
      statusTimer: undefined,
    };
    for (const target of this.#options.store.targets()) if (target.namespace === namespace) view.addTarget(target);
    this.#runtimes.set(key, runtime);
    const views = this.#views.get(namespace) ?? new Set();
    this.#views.set(namespace, views.add(view));
    return runtime;
  }

  /** Makes the bindings what the spec says. */
  async #arrange(key: string, runtime: Runtime): Promise<void> {
    const { object } = runtime;
    const checked = checkObject<KollectInventory>('KollectInventory', object);
    const spec = checked.object?.spec;
    runtime.blocked = !spec
      ? { reason: 'InvalidSpec', message: checked.message ?? '' }
      : spec.suspend
        ? { reason: 'Suspended', message: 'spec.suspend is true: nothing is exported until it is removed' }
        : undefined;
    const wanted = new Map<string, SinkBinding>();
    if (!runtime.blocked && spec) for (const ref of sinkBindings(spec)) wanted.set(`${ref.family}/${ref.name}`, ref);

    for (const [bindingKey, binding] of runtime.bindings) {
      if (wanted.has(bindingKey)) continue;
      await binding.close();
      runtime.bindings.delete(bindingKey);
      if (!runtime.blocked && !retainsRows(object)) this.#remove(key, runtime, exportedSink({ name: bindingKey, namespace: binding.options.namespace }));
    }
    if (runtime.blocked) return;
    // Not those of the object, which may lag behind: what was removed is not removed again.
    for (const entry of (this.#status.latest(object) as KollectInventory['status'])?.sinkExports ?? []) {
      if (!wanted.has(entry.name) && !retainsRows(object)) this.#remove(key, runtime, exportedSink(entry));
    }
    for (const [name, removal] of runtime.removals) {
      if (!wanted.has(name) && !retainsRows(object)) continue;
      await removal.close();
      runtime.removals.delete(name);
    }
    const generation = object.metadata.generation ?? 0;
    const request = reconcileRequest(object);
    const asked = request !== undefined && request !== runtime.asked;
    for (const [bindingKey, ref] of wanted) {
      const intervalMs = this.#intervalMs(runtime, ref, spec?.exportMinInterval);
      const running = runtime.bindings.get(bindingKey);
      if (!running) {
        const binding = this.#bind(runtime, ref, intervalMs);
        runtime.bindings.set(bindingKey, binding);
        if (asked) binding.reopen();
        continue;
      }
      running.setInterval(intervalMs);
      running.options.inventory = { ...running.options.inventory, generation };
      if (asked || runtime.generation !== generation) running.reopen();
    }
    runtime.generation = generation;
    if (asked) runtime.asked = request;
  }

  #bind(runtime: Runtime, ref: SinkBinding, intervalMs: number): Binding {
    const { sinks, isSynced, frozen, isTurning, logger, observer } = this.#options;
    const { namespace = '', name, generation = 0 } = runtime.object.metadata;
    const binding = new Binding({
      family: ref.family,
      name: ref.name,
      namespace,
      view: runtime.view,
      inventory: { namespace, name, generation },
      isSynced,
      frozen,
      isTurning,
      open: () => sinks.open(ref.family, namespace, ref.name),
      intervalMs,
      previous: sinkExports(runtime.object).find((entry) => entry.name === `${ref.family}/${ref.name}`),
      logger: logger.child({ controller: 'kollectinventory', namespace, name }),
      observer,
      onChange: () => this.#submitStatus(runtime),
      onMoved: ({ key }, { place = 'its former destination', rows = 0 }, to) => {
        const text = `${key} exports to ${to} now; the ${rows} row(s) that it exported to ${place} stay there, because an edit removes nothing`;
        this.#options.events.event(runtime.object, 'Normal', 'DestinationChanged', text);
      },
    });
    binding.poke();
    return binding;
  }

  #intervalMs(runtime: Runtime, ref: SinkBinding, own: string | undefined): number {
    const { namespace = '' } = runtime.object.metadata;
    const text = ref.exportMinInterval ?? this.#options.sinks.intervalOf(ref.family, namespace, ref.name) ?? own;
    const chosenMs = text === undefined ? defaultIntervalMs : parseDuration(text);
    return Math.max(chosenMs, this.#options.scopes.exportFloorMs('KollectInventory', runtime.object));
  }

  /** Begins to remove what was exported through a sink; the entry stays in status until that is confirmed. */
  #remove(key: string, runtime: Runtime, sink: ExportedSink): void {
    if (runtime.removals.has(sink.key)) return;
    const { sinks, logger } = this.#options;
    const { namespace = '', name, generation = 0 } = runtime.object.metadata;
    const removal = new Removal({
      sink,
      inventory: { namespace, name, generation },
      directory: sinks,
      kept: async () => (runtime.cleaning ? new Set() : await keptDestinations(runtime.object, sinks)),
      logger: logger.child({ controller: 'kollectinventory', namespace, name }),
      onFailure: () => this.#submitStatus(runtime),
      onDone: (deleted) => {
        runtime.removals.delete(sink.key);
        this.#submitStatus(runtime);
        // Another name may lead to the same destination.
        if (deleted > 0) for (const binding of runtime.bindings.values()) binding.reopen();
        this.#queue.add(key);
      },
    });
    runtime.removals.set(sink.key, removal);
  }

  /** The inventory is being deleted: stop, remove what it exported, let it go. */
  async #cleanUp(key: string, raw: KubeObject): Promise<void> {
    if (!raw.metadata.finalizers?.includes(finalizers.inventory)) {
      await this.#drop(key);
      return;
    }
    const runtime = this.#runtime(key, raw);
    runtime.object = raw;
    if (!runtime.cleaning) {
      const running = [...runtime.bindings.values()];
      await Promise.all(running.map((binding) => binding.close()));
      runtime.bindings.clear();
      runtime.cleaning = true;
      const sinks = [...allExportedSinks(raw), ...running.map(({ key: name, options }) => exportedSink({ name, namespace: options.namespace }))];
      if (!retainsRows(raw)) for (const sink of sinks) this.#remove(key, runtime, sink);
    }
    if (runtime.removals.size > 0 && !retainsRows(raw)) return this.#submitStatus(runtime);
    await Promise.all([...runtime.removals.values()].map((removal) => removal.close()));
    this.#status.forget(raw.metadata.uid ?? '');
    await removeFinalizer(this.#options.client, 'kollectinventories', raw, finalizers.inventory);
    await this.#drop(key);
  }

  async #drop(key: string): Promise<void> {
    const runtime = this.#runtimes.get(key);
    if (!runtime) return;
    this.#runtimes.delete(key);
    const views = this.#views.get(runtime.view.namespace);
    views?.delete(runtime.view);
    if (views?.size === 0) this.#views.delete(runtime.view.namespace);
    clearTimeout(runtime.statusTimer);
    await Promise.all([...runtime.bindings.values(), ...runtime.removals.values()].map((one) => one.close()));
    clearTimeout(runtime.statusTimer);
    this.#status.forget(runtime.object.metadata.uid ?? '');
  }

  #submitStatus(runtime: Runtime): void {
    clearTimeout(runtime.statusTimer);
    runtime.statusTimer = undefined;
    if (runtime.cleaning) {
      const removals = [...runtime.removals.values()];
      if (removals.some(({ error }) => error)) {
        const previous = this.#status.latest(runtime.object) as KollectInventory['status'];
        this.#status.submit(runtime.object, cleanupStatus(runtime.object, previous, removals, new Date().toISOString()));
      }
      return;
    }
    const awaiting = [...runtime.view.targets].filter((target) => !this.#options.isSynced(target)).map((target) => target.name);
    const status = inventoryStatus(
      {
        inventory: runtime.object as unknown as KollectInventory,
        previous: this.#status.latest(runtime.object) as KollectInventory['status'],
        view: runtime.view,
        bindings: [...runtime.bindings.values()],
        removals: [...runtime.removals.values()],
        awaiting: awaiting.sort(),
        incomplete: [...runtime.view.targets].filter((target) => target.refused.any).map((target) => target.name).sort(),
        blocked: runtime.blocked,
        asked: runtime.asked,
      },
      new Date().toISOString(),
    );
    this.#status.submit(runtime.object, status);
  }
}

/** Value of the annotation that asks for one comparison. */
function reconcileRequest({ metadata }: KubeObject): string | undefined {
  return metadata.annotations?.[annotations.reconcile]?.slice(0, longestRequest);
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
