import { annotations } from '../../shared/api/annotations.ts';
import { parseDuration } from '../../shared/api/duration.ts';
import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import type { SinkBinding } from '../../shared/api/sink-ref.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';
import type { Logger } from '../../shared/log.ts';
import type { ScopeJudge } from '../collect/scope-judge.ts';
import { referenceResult, type ReferenceObserver, type ReferenceResult } from '../observe/references.ts';
import { Binding } from './binding.ts';
import type { BindingObserver, BindingOptions } from './binding-options.ts';
import { placeOf } from './binding-state.ts';
import { exportedSink, keptDestinations, type ExportedSink } from './cleanup.ts';
import type { SinkFamily } from '../sinks/contract.ts';
import { exportNamespace, sinkNamespace, type InventoryKind } from './inventory-kind.ts';
import { isSet, pausesRemovals, type InventoryRuntime } from './inventory-runtime.ts';
import { Removal } from './removal.ts';
import type { SinkDirectory } from './sink-directory.ts';

const defaultIntervalMs = 30_000;

export interface ExportOptions extends Pick<BindingOptions, 'frozen' | 'isListing' | 'isSynced' | 'isTurning' | 'verifyIntervalMs'> {
  kind: InventoryKind;
  sinks: SinkDirectory;
  scopes: Pick<ScopeJudge, 'exportFloorMs' | 'sinkDenial'>;
  events: EventRecorder;
  logger: Logger;
  observer: BindingObserver & ReferenceObserver;
  /** An export to a sink has succeeded. */
  onExported?: ((family: SinkFamily, namespace: string, name: string) => void) | undefined;
}

/** Whoever keeps the status of inventories, and looks at them again. */
export interface RuntimeKeeper {
  submitStatus(runtime: InventoryRuntime): void;
  /** Resolves when the API server has what was submitted. */
  flushStatus(runtime: InventoryRuntime): Promise<void>;
  /** Not what the object says, which may lag behind. */
  latestStatus(runtime: InventoryRuntime): KollectInventory['status'];
  again(runtime: InventoryRuntime): void;
}

/** Begins what an inventory does at its sinks: to export, and to remove what it exported. */
export class InventoryExports {
  readonly #options: ExportOptions;
  readonly #keeper: RuntimeKeeper;

  constructor(options: ExportOptions, keeper: RuntimeKeeper) {
    this.#options = options;
    this.#keeper = keeper;
  }

  /** Begins to export to a sink. */
  bind(runtime: InventoryRuntime, ref: SinkBinding, settings: Pick<BindingOptions, 'intervalMs' | 'maxDocumentBytes'>): Binding {
    const { kind, sinks, isSynced, frozen, isListing, isTurning, verifyIntervalMs, logger, observer } = this.#options;
    const { object, rows, denials } = runtime;
    const { name, generation = 0 } = object.metadata;
    const namespace = sinkNamespace(object, ref);
    const place = placeOf({ key: `${ref.family}/${ref.name}`, namespace });
    const inventory = { namespace: exportNamespace(object), name, generation };
    const binding: Binding = new Binding({
      family: ref.family,
      name: ref.name,
      namespace,
      view: rows.view,
      inventory,
      isSynced: (target) => rows.takesPart(target) && isSynced(target),
      frozen: (target) => (rows.takesPart(target) ? frozen?.(target) : undefined),
      // In a rollup those that are listed may wait for others.
      isListing: (target) => isListing?.(target) === true || (isSynced(target) && !rows.takesPart(target)),
      isTurning,
      open: async () => {
        const resolved = (result: ReferenceResult | undefined): void => void (result && observer.resolved(kind.kind, ref.family, result));
        try {
          const denial = denials.get(place);
          if (denial) throw denial;
          const sink = await sinks.open(ref.family, namespace, ref.name, () => binding.reconnect());
          resolved('ok');
          return sink;
        } catch (error) {
          resolved(referenceResult(error));
          throw error;
        }
      },
      ...settings,
      verifyIntervalMs,
      markDirty: async () => {
        this.#keeper.submitStatus(runtime);
        await this.#keeper.flushStatus(runtime);
      },
      previous: this.#keeper.latestStatus(runtime)?.sinkExports?.find((entry) => placeOf(exportedSink(entry)) === place),
      logger: logger.child({ controller: kind.kind.toLowerCase(), namespace: inventory.namespace, name }),
      observer,
      onChange: () => this.#keeper.submitStatus(runtime),
      onExported: () => this.#options.onExported?.(ref.family, namespace, ref.name),
      onMoved: ({ destination = 'its former destination', rows = 0 }, to) => {
        const text = `${binding.key} exports to ${to} now; of the ${rows} row(s) that it exported to ${destination} none was removed, because an edit removes nothing`;
        this.#options.events.event(runtime.object, 'Normal', 'DestinationChanged', text);
      },
    });
    binding.pauseDeletions(isSet(runtime.object, annotations.pauseDeletes));
    binding.poke();
    return binding;
  }

  /** Begins to remove what was exported through a sink; the entry stays in status until that is confirmed. */
  remove(runtime: InventoryRuntime, sink: ExportedSink): void {
    const place = placeOf(sink);
    if (runtime.removals.has(place)) return;
    const { kind, sinks, logger } = this.#options;
    const { name, generation = 0 } = runtime.object.metadata;
    const namespace = exportNamespace(runtime.object);
    const removal: Removal = new Removal({
      sink,
      isPaused: pausesRemovals(runtime),
      inventory: { namespace, name, generation },
      directory: sinks,
      kept: async () => (runtime.cleaning ? new Set() : await keptDestinations(runtime.object, sinks)),
      logger: logger.child({ controller: kind.kind.toLowerCase(), namespace, name }),
      onFailure: () => this.#keeper.submitStatus(runtime),
      onDone: () => {
        runtime.removals.delete(place);
        this.#keeper.submitStatus(runtime);
        // Another name may lead to the same destination.
        if (removal.hasDeleted) for (const binding of runtime.bindings.values()) binding.reopen();
        this.#keeper.again(runtime);
      },
    });
    runtime.removals.set(place, removal);
  }

  /** Asks whether the scope allows a sink. True when the answer is another than before. */
  judge({ object, denials }: InventoryRuntime, place: string, ref: SinkBinding): boolean {
    const { kind, scopes } = this.#options;
    const before = denials.get(place);
    const denial = scopes.sinkDenial(kind.kind, object, ref);
    if (denial) denials.set(place, denial);
    else denials.delete(place);
    return before?.message !== denial?.message;
  }

  /** How often an unchanged sink is looked at, in milliseconds. `own` is what the inventory says. */
  intervalMs({ object }: InventoryRuntime, ref: SinkBinding, own: string | undefined): number {
    const { kind, scopes, sinks } = this.#options;
    const text = ref.exportMinInterval ?? sinks.intervalOf(ref.family, sinkNamespace(object, ref), ref.name) ?? own;
    const chosenMs = text === undefined ? defaultIntervalMs : parseDuration(text);
    return Math.max(chosenMs, scopes.exportFloorMs(kind.kind, object));
  }
}
