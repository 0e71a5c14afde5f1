import type { InventoryIdentity } from '../contract.ts';
import type { Message } from './publish.ts';

/** Where the messages of one pass go. */
export interface Outlet {
  /** When the pass publishes: later than that of any pass before. */
  timestamp: Date;
  /** Number of this leader; undefined when there is only one. */
  epoch: number | undefined;
  /** Somebody waits for the pass. */
  signal: AbortSignal;
  /** What the body of a message of the inventory may have at most. */
  maxBytes(identity: InventoryIdentity): number;
  /** Publishes messages in their order, each made when it is its turn, and says of each whether the stream had it already. Throws when one was not confirmed: the others may have been. */
  send(messages: Iterable<Message>): Promise<readonly boolean[]>;
}

/** The same for all generations of an inventory. */
export function keyOf({ cluster, namespace, name }: InventoryIdentity): string {
  return JSON.stringify([cluster, namespace, name]);
}
