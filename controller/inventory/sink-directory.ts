import type { SinkFamily } from '../sinks/contract.ts';
import type { OpenSink } from './binding.ts';

/** Where inventories find sinks. The wiring knows the kinds and the runtime; inventories know names only. */
export interface SinkDirectory {
  /** The sink object's own `spec.exportMinInterval`. */
  intervalOf(family: SinkFamily, namespace: string, name: string): string | undefined;
  /** Opens the sink; throws `KOL_SINK_NOT_FOUND` when there is no such object. `rotated` is called when one of its Secrets is another while it is open. */
  open(family: SinkFamily, namespace: string, name: string, rotated?: () => void): Promise<OpenSink>;
  /** Opens a sink as it was when it was last open, for as long as that is remembered; undefined when it is not. Nothing is to be written to it any more. */
  openFormer(family: SinkFamily, namespace: string, name: string): Promise<OpenSink | undefined>;
  /** Calls back when a sink object appears, goes, or its spec changes. */
  onChange(listener: (family: SinkFamily, namespace: string, name: string) => void): void;
}
