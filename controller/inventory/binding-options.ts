import type { KollectError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { FrozenRows } from '../collect/collector.ts';
import type { SinkFamily } from '../sinks/contract.ts';
import type { PreviousState } from './binding-state.ts';
import type { PassPlan } from './pass.ts';
import type { OpenSink } from './sink-connection.ts';
import type { InventoryView, ViewTarget } from './view.ts';

export interface BindingObserver {
  passed(type: string, plan: { mode: PassPlan['mode']; seconds: number; written: number; deleted: number; bytes: number; lagMs: number }): void;
  failed(type: string, error: KollectError): void;
}

export interface BindingOptions {
  family: SinkFamily;
  /** Name and namespace of the sink object. */
  name: string;
  namespace: string;
  view: InventoryView;
  inventory: { namespace: string; name: string; generation: number };
  isSynced: (target: ViewTarget) => boolean;
  /** Of a target that is not synced: what of it is not, see `Collector`. */
  frozen?: ((target: ViewTarget) => readonly FrozenRows[] | undefined) | undefined;
  /** Whether it is only a matter of time until a target is synced; never when unset. */
  isListing?: ((target: ViewTarget) => boolean) | undefined;
  /** See `PassInput`. */
  isTurning: (target: ViewTarget) => boolean;
  open: () => Promise<OpenSink>;
  /** Time in milliseconds after which an unchanged destination is checked; 0: never. */
  intervalMs: number;
  /** See `SinkChange`. */
  maxDocumentBytes?: number | undefined;
  /** Mean time in milliseconds between two comparisons of all rows with the destination; never when unset or 0. */
  verifyIntervalMs?: number | undefined;
  /** What status said before this process began. */
  previous: PreviousState | undefined;
  /** Resolves when status says that the destination is `dirty`. */
  markDirty?: (() => Promise<void>) | undefined;
  /** See `DirtyMarkOptions`. */
  quietMs?: number | undefined;
  /** How long after a start targets are waited for that are not being listed, in milliseconds; 20 s when unset. */
  startMs?: number | undefined;
  /** See `DirtyMarkOptions`. */
  markMs?: number | undefined;
  logger: Logger;
  observer: BindingObserver;
  /** The state is another, or it is `dirty` no more. */
  onChange: () => void;
  /** The destination took what there was to be written, or holds what was written. */
  onExported?: (() => void) | undefined;
  /** The sink leads to another destination than the one that was exported to before; what is there stays. */
  onMoved?: (from: { destination: string | undefined; rows: number | undefined }, to: string) => void;
}
