import type { InventoryIdentity } from '../contract.ts';

/** What is told of an inventory at once. */
export interface Message {
  body: Uint8Array;
  /** Within the inventory: of messages with the same key only the last one counts, as long as it comes after what it replaces. */
  key: readonly string[];
  /** What a broker knows the message again by. */
  id: string;
  /** The same object for messages that have the same. */
  headers: Readonly<Record<string, string>>;
}

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
  /** Publishes messages in their order, each made when it is its turn, and says of each whether the broker had it already. Throws when one was not confirmed: the others may have been. */
  send(messages: Iterable<Message>): Promise<readonly boolean[]>;
}

/** The same for all generations of an inventory. */
export function keyOf({ cluster, namespace, name }: InventoryIdentity): string {
  return JSON.stringify([cluster, namespace, name]);
}
