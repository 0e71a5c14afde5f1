import type { SinkFamily } from '../sinks/contract.ts';
import type { OpenSink } from './sink-connection.ts';

/** What speaks against a sink, as far as that is known without opening it. */
export interface SinkObstacle {
  reason: 'SinkForbidden' | 'SinkLookupFailed' | 'SinkNotFound' | 'SinkUnreachable';
  message: string;
}

/** A sink object appeared, went, or has another spec; or its connection test has another result: it succeeds, or does not. */
export type SinkChanged = 'edited' | 'verified' | 'unverified';

/** Where inventories find sinks. The wiring knows the kinds and the runtime; inventories know names only. */
export interface SinkDirectory {
  /** The sink object's own `spec.exportMinInterval`. */
  intervalOf(family: SinkFamily, namespace: string, name: string): string | undefined;
  /** Undefined when nothing speaks against exporting to the sink. */
  obstacle(family: SinkFamily, namespace: string, name: string): SinkObstacle | undefined;
  /**
   * Opens the sink; throws `KOL_SINK_NOT_FOUND` when there is no such object, and `KOL_SINK_LOOKUP` or `KOL_SINK_FORBIDDEN` while that is not known.
   * `rotated` is called when one of its Secrets is another while it is open.
   */
  open(family: SinkFamily, namespace: string, name: string, rotated?: () => void): Promise<OpenSink>;
  /** Opens a sink as it was when it was last open, for as long as that is remembered; undefined when it is not. Nothing is to be written to it any more. */
  openFormer(family: SinkFamily, namespace: string, name: string): Promise<OpenSink | undefined>;
  onChange(listener: (family: SinkFamily, namespace: string, name: string, change: SinkChanged) => void): void;
}
