import { annotations } from '../../shared/api/annotations.ts';
import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { sinkBindings, type SinkBinding } from '../../shared/api/sink-ref.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { addFinalizer, removeFinalizer } from '../../shared/kube/finalizers.ts';
import { kollectPath } from '../../shared/kube/paths.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import type { RowStore } from '../collect/row-store.ts';
import type { TargetRows } from '../collect/target-rows.ts';
import type { ScopeJudge } from '../collect/scope-judge.ts';
import { checkObject } from '../object-check.ts';
import type { Verdict } from '../observe/conditions.ts';
import { StatusWriter } from '../observe/status-writer.ts';
import { recordTransition } from '../observe/transitions.ts';
import type { Binding } from './binding.ts';
import { placeOf } from './binding-state.ts';
import { allExportedSinks, boundSink, exportedSink, retainsRows } from './cleanup.ts';
import { InventoryExports, type ExportOptions } from './inventory-exports.ts';
import { exportNamespace, sinkNamespace } from './inventory-kind.ts';
import type { InventoryRows } from './inventory-rows.ts';
import { isEarly, isSet, pausesRemovals, type InventoryRuntime } from './inventory-runtime.ts';
import { targetSinkVerdict, type SinkState } from './inventory-verdicts.ts';
import { runtimeStatus } from './runtime-status.ts';
import { recordSinkTrouble } from './sink-events.ts';

/** Status that only counts is looked at this often while rows change. */
const progressDelayMs = 1_000;
/** Characters of a request that status repeats. */
const longestRequest = 256;

export interface InventoryReconcilerOptions<Rows extends InventoryRows> extends ExportOptions {
  /** Makes what belongs to an inventory; `onChange` is called at every change of its view. */
  rowsOf: (inventory: KubeObject, onChange: () => void) => Rows;
  /** How long an inventory without targets waits for some after it was created, in milliseconds, before anything is said or done. */
  targetsGraceMs: number;
  client: KubeClient;
  inventories: ObjectCache<KubeObject>;
  scopes: Pick<ScopeJudge, 'exportFloorMs' | 'onChange' | 'sinkDenial'>;
  store: RowStore;
}

/** Runs a view and its bindings for every inventory of a kind, and keeps status true. */
export class InventoryReconciler<Rows extends InventoryRows> {
  readonly #options: InventoryReconcilerOptions<Rows>;
  readonly #queue: WorkQueue<string>;
  readonly #status: StatusWriter;
  readonly #exports: InventoryExports;
  readonly #runtimes = new Map<string, InventoryRuntime<Rows>>();
  /** By namespace of their targets. */
  readonly #byNamespace = new Map<string, Set<InventoryRuntime<Rows>>>();

  constructor(options: InventoryReconcilerOptions<Rows>) {
    this.#options = options;
    this.#status = new StatusWriter({
      client: options.client,
      plural: options.kind.plural,
      logger: options.logger,
      onTransition: (object, before, after) => recordTransition(options.events, object, before, after),
    });
    this.#queue = new WorkQueue({ name: options.kind.kind.toLowerCase(), reconcile: (key) => this.#reconcile(key), logger: options.logger });
    this.#exports = new InventoryExports(options, {
      submitStatus: (runtime) => {
        this.#noteConsent(runtime);
        this.#submitStatus(runtime);
      },
      flushStatus: ({ object }) => this.#status.flush(object),
      latestStatus: ({ object }) => this.#status.latest(object) as KollectInventory['status'],
      again: ({ object }) => this.#queue.add(keyOf(object)),
    });
  }

  start(): void {
    const { kind, inventories, scopes, sinks, store } = this.#options;
    store.subscribe({
      row: (target, before, after) => {
        for (const { rows } of this.#of(target)) rows.row(target, before, after);
      },
      left: (target, uid) => {
        for (const { rows } of this.#of(target)) rows.left(target, uid);
      },
      opened: (target) => {
        for (const { rows } of this.#of(target)) rows.opened(target);
      },
      closed: (target) => {
        for (const { rows } of this.#of(target)) rows.closed(target);
      },
    });
    sinks.onChange((family, namespace, name, change) => {
      for (const [key, runtime] of this.#runtimes) {
        const place = placeOf({ key: `${family}/${name}`, namespace });
        const removal = runtime.removals.get(place);
        if (change === 'edited' || (change === 'verified' && removal?.error)) removal?.retry();
        const binding = runtime.bindings.get(place);
        if (!binding) continue;
        if (change === 'edited') binding.reopen();
        // What kept it from exporting may be mended.
        else if (change === 'verified' && binding.state.error) binding.reconnect();
        this.#queue.add(key);
      }
    });
    scopes.onChange(kind.kind, (namespace) => {
      for (const [key, { rows }] of this.#runtimes) if (namespace === undefined || rows.view.namespace === namespace) this.#queue.add(key);
    });
    inventories.onChange((key) => this.#queue.add(key));
    for (const inventory of inventories.list()) this.#queue.add(keyOf(inventory));
  }

  /** A target of the namespace is synced now, or not any more. */
  targetsChanged(namespace: string): void {
    for (const [key, runtime] of this.#runtimes) {
      if (runtime.rows.view.namespace !== namespace) continue;
      runtime.rows.targetsListed();
      for (const binding of runtime.bindings.values()) binding.poke();
      this.#queue.add(key);
    }
  }

  /** A target appeared, went, or has other labels or another status; `<namespace>/<name>`. */
  targetChanged(key: string): void {
    const slash = key.indexOf('/');
    for (const { rows } of this.#byNamespace.get(key.slice(0, slash)) ?? []) rows.targetChanged(key.slice(slash + 1));
  }

  /** Whether the sinks of a namespace's inventories can be reached, as its targets show it. */
  sinkReachable(namespace: string): Verdict {
    const { inventories, sinks } = this.#options;
    const known: SinkState[] = [];
    for (const object of inventories.byNamespace(namespace)) {
      const { suspend, ...lists } = (object['spec'] ?? {}) as Partial<KollectInventory['spec']>;
      for (const { family, name } of suspend ? [] : sinkBindings(lists)) {
        const key = `${family}/${name}`;
        const state = this.#runtimes.get(keyOf(object))?.bindings.get(placeOf({ key, namespace }))?.state;
        known.push({ inventory: `${object.kind} "${object.metadata.name}"`, key, state, obstacle: sinks.obstacle(family, namespace, name) });
      }
    }
    return targetSinkVerdict(known);
  }

  /** Bindings of all inventories, for metrics. */
  *bindings(): Generator<{ inventory: string; sink: string; binding: Binding }> {
    for (const { object, bindings } of this.#runtimes.values()) {
      const { namespace, name } = object.metadata;
      const inventory = `${exportNamespace(object)}/${name}`;
      for (const binding of bindings.values()) yield { inventory, sink: namespace === undefined ? binding.place : binding.key, binding };
    }
  }

  /** What belongs to each inventory, for whoever hears what it depends on. */
  *rows(): Generator<Rows> {
    for (const { rows } of this.#runtimes.values()) yield rows;
  }

  async stop(): Promise<void> {
    await this.#queue.stop();
    this.#status.stop();
    await Promise.all([...this.#runtimes.keys()].map((key) => this.#drop(key)));
  }

  async #reconcile(key: string): Promise<void> {
    const { kind, client, inventories } = this.#options;
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
    await addFinalizer(client, kind.plural, raw, kind.finalizer);
    const runtime = this.#runtime(key, raw);
    runtime.object = raw;
    await this.#arrange(key, runtime);
    await this.#steerDeletions(runtime);
    this.#submitStatus(runtime);
  }

  #runtime(key: string, raw: KubeObject): InventoryRuntime<Rows> {
    const known = this.#runtimes.get(key);
    if (known) return known;
    const rows = this.#options.rowsOf(raw, () => {
      for (const binding of runtime.bindings.values()) binding.poke();
      if (runtime.waiting) this.#queue.add(key);
      else runtime.statusTimer ??= setTimeout(() => this.#submitStatus(runtime), progressDelayMs);
    });
    const runtime: InventoryRuntime<Rows> = {
      object: raw,
      rows,
      bindings: new Map(),
      removals: new Map(),
      denials: new Map(),
      graceUntil: Date.parse(raw.metadata.creationTimestamp ?? '') + this.#options.targetsGraceMs,
      waiting: false,
      cleaning: false,
      blocked: undefined,
      generation: 0,
      asked: (raw['status'] as KollectInventory['status'])?.lastHandledReconcile,
      consent: 'none',
      statusTimer: undefined,
    };
    const { namespace } = rows.view;
    for (const target of this.#options.store.targets()) if (target.namespace === namespace) rows.opened(target);
    this.#runtimes.set(key, runtime);
    const others = this.#byNamespace.get(namespace) ?? new Set();
    this.#byNamespace.set(namespace, others.add(runtime));
    return runtime;
  }

  /** Makes the bindings what the spec says. */
  async #arrange(key: string, runtime: InventoryRuntime<Rows>): Promise<void> {
    const { object } = runtime;
    const checked = checkObject<KollectInventory>(this.#options.kind.kind, object);
    const spec = checked.object?.spec;
    runtime.blocked = !spec
      ? { reason: 'InvalidSpec', message: checked.message ?? '' }
      : spec.suspend
        ? { reason: 'Suspended', message: 'spec.suspend is true: nothing is exported until it is removed' }
        : undefined;
    if (!runtime.blocked && checked.object) runtime.rows.select(checked.object as unknown as KubeObject);
    const isWaitedFor = !runtime.blocked && isEarly(runtime);
    if (isWaitedFor) this.#queue.addAfter(key, runtime.graceUntil - Date.now());
    // What a sink holds of an earlier life is not to go before.
    runtime.waiting = isWaitedFor && runtime.bindings.size === 0;
    const isActive = !runtime.blocked && !runtime.waiting;
    const wanted = new Map<string, SinkBinding>();
    for (const ref of spec ? sinkBindings(spec) : []) wanted.set(placeOf({ key: `${ref.family}/${ref.name}`, namespace: sinkNamespace(object, ref) }), ref);

    for (const [place, binding] of runtime.bindings) {
      if (isActive && wanted.has(place)) continue;
      await binding.close();
      runtime.bindings.delete(place);
      runtime.denials.delete(place);
      if (spec && !wanted.has(place) && !retainsRows(object)) this.#exports.remove(runtime, boundSink(binding));
    }
    // Not those of the object, which may lag behind: what was removed is not removed again.
    for (const entry of (this.#status.latest(object) as KollectInventory['status'])?.sinkExports ?? []) {
      const sink = exportedSink(entry);
      // A spec that makes no sense drops nothing that it did not drop before.
      const isDropped = spec ? !wanted.has(placeOf(sink)) : entry.phase === 'Removing';
      if (isDropped && !retainsRows(object)) this.#exports.remove(runtime, sink);
    }
    for (const [place, removal] of runtime.removals) {
      if (!wanted.has(place) && !retainsRows(object)) continue;
      await removal.close();
      runtime.removals.delete(place);
    }
    if (!isActive) return;
    const generation = object.metadata.generation ?? 0;
    const request = reconcileRequest(object);
    const asked = request !== undefined && request !== runtime.asked;
    for (const [place, ref] of wanted) {
      const intervalMs = this.#exports.intervalMs(runtime, ref, spec?.exportMinInterval);
      const maxDocumentBytes = ref.maxExportBytes ?? (spec && 'maxExportBytes' in spec ? spec.maxExportBytes : undefined);
      const running = runtime.bindings.get(place);
      const judged = this.#exports.judge(runtime, place, ref);
      if (!running) {
        const binding = this.#exports.bind(runtime, ref, { intervalMs, maxDocumentBytes });
        runtime.bindings.set(place, binding);
        if (asked) binding.reopen();
        continue;
      }
      running.setInterval(intervalMs);
      running.options.maxDocumentBytes = maxDocumentBytes;
      running.options.inventory = { ...running.options.inventory, generation };
      if (asked || judged || runtime.generation !== generation) running.reopen();
    }
    runtime.generation = generation;
    if (asked) runtime.asked = request;
  }

  /** Follows the annotations that pause deletions, or allow them once. */
  async #steerDeletions(runtime: InventoryRuntime<Rows>): Promise<void> {
    const { object, bindings } = runtime;
    for (const binding of bindings.values()) binding.pauseDeletions(isSet(object, annotations.pauseDeletes));
    this.#pauseRemovals(runtime);
    if (!isSet(object, annotations.allowDeletes)) {
      // What was used and taken away by us stays allowed where sinks failed.
      if (runtime.consent === 'given') for (const binding of bindings.values()) binding.withdrawDeletions();
      runtime.consent = 'none';
    } else if (runtime.consent === 'used') {
      const body = { metadata: { annotations: { [annotations.allowDeletes]: null } } };
      await this.#options.client.patch(kollectPath(this.#options.kind.plural, object), { type: 'merge', body });
    } else if (runtime.consent === 'none' && bindings.size > 0) {
      runtime.consent = 'given';
      for (const binding of bindings.values()) void binding.allowDeletions();
    }
  }

  /** Consent is used when those sinks have done what it allows that can. */
  #noteConsent(runtime: InventoryRuntime): void {
    const bindings = [...runtime.bindings.values()];
    const waiting = bindings.filter(({ deletionsAllowed }) => deletionsAllowed);
    if (runtime.consent !== 'given' || waiting.length === bindings.length || waiting.some(({ state }) => state.phase !== 'Failed')) return;
    runtime.consent = 'used';
    this.#queue.add(keyOf(runtime.object));
  }

  #pauseRemovals(runtime: InventoryRuntime<Rows>): void {
    for (const removal of runtime.removals.values()) removal.pause(pausesRemovals(runtime));
  }

  /** The inventory is being deleted: stop, remove what it exported, let it go. */
  async #cleanUp(key: string, raw: KubeObject): Promise<void> {
    const { kind, client } = this.#options;
    if (!raw.metadata.finalizers?.includes(kind.finalizer)) {
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
      const sinks = [...running.map(boundSink), ...allExportedSinks({ ...raw, status: this.#status.latest(raw) })];
      if (!retainsRows(raw)) for (const sink of sinks) this.#exports.remove(runtime, sink);
    }
    this.#pauseRemovals(runtime);
    if (runtime.removals.size > 0 && !retainsRows(raw)) return this.#submitStatus(runtime);
    await Promise.all([...runtime.removals.values()].map((removal) => removal.close()));
    this.#status.forget(raw.metadata.uid ?? '');
    await removeFinalizer(client, kind.plural, raw, kind.finalizer);
    await this.#drop(key);
  }

  async #drop(key: string): Promise<void> {
    const runtime = this.#runtimes.get(key);
    if (!runtime) return;
    this.#runtimes.delete(key);
    const { namespace } = runtime.rows.view;
    const others = this.#byNamespace.get(namespace);
    others?.delete(runtime);
    if (others?.size === 0) this.#byNamespace.delete(namespace);
    runtime.rows.close();
    clearTimeout(runtime.statusTimer);
    await Promise.all([...runtime.bindings.values(), ...runtime.removals.values()].map((one) => one.close()));
    clearTimeout(runtime.statusTimer);
    runtime.statusTimer = undefined;
    this.#status.forget(runtime.object.metadata.uid ?? '');
  }

  /** Those that may have rows of a target. */
  #of(target: TargetRows): Iterable<InventoryRuntime<Rows>> {
    return this.#byNamespace.get(target.namespace) ?? [];
  }

  #submitStatus(runtime: InventoryRuntime): void {
    clearTimeout(runtime.statusTimer);
    runtime.statusTimer = undefined;
    const { sinks, isSynced, events } = this.#options;
    const previous = this.#status.latest(runtime.object) as KollectInventory['status'];
    const status = runtimeStatus(runtime, { previous, isSynced, sinks }, new Date().toISOString());
    if (!status) return;
    if (!runtime.cleaning) recordSinkTrouble(events, runtime.object, previous, status);
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
