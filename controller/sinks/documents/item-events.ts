import type { ExportRow, InventoryIdentity, RowKey, SparedRows } from '../contract.ts';
import { fieldsId } from './event-messages.ts';
import { schemaVersion } from './json-document.ts';

/** What readers are told of an inventory, one thing a message. */
export type ItemEvent =
  | { type: 'upsert'; row: ExportRow }
  | { type: 'delete'; key: RowKey }
  /** All rows of these targets follow. */
  | { type: 'snapshotBegin'; targets: readonly string[] }
  /** Between begin and end: whatever a reader has of the row stays. */
  | { type: 'keep'; key: RowKey }
  /** Rows of these targets that did not come since the begin are gone, unless they are spared; and those of targets that are not known, when these are named. */
  | { type: 'snapshotEnd'; targets: readonly string[]; knownTargets?: readonly string[]; spared?: readonly SparedRows[] }
  /** The inventory is not exported any more. */
  | { type: 'removed' };

/** Whose event it is, and of which pass: readers leave out what is older than what they know. */
export interface EventSource {
  identity: InventoryIdentity;
  timestamp: Date;
  /** Number of the leader who publishes, see `LeaderEpoch`. */
  epoch: number | undefined;
}

/** The beginnings of all bodies of a pass, which differ in nothing else. */
export function eventHead({ identity, timestamp, epoch }: EventSource): string {
  const { cluster, namespace, name, generation } = identity;
  return JSON.stringify({ schemaVersion, timestamp: timestamp.toISOString(), cluster, namespace, inventory: name, generation, ...(epoch === undefined ? {} : { epoch }) }).slice(0, -1);
}

/**
 * The body of a message, as JSON. The row of an `upsert` is its canonical JSON.
 *
 * @param head see `eventHead`
 */
export function eventBody(head: string, event: ItemEvent): Buffer {
  if (event.type === 'upsert') return Buffer.from(`${head},"type":"upsert","payload":${event.row.payload}}`);
  return Buffer.from(`${head},${JSON.stringify(event).slice(1)}`);
}

export function eventHeaders({ identity, epoch }: EventSource, { type }: ItemEvent): Record<string, string> {
  const { cluster, namespace, name, generation } = identity;
  return {
    'Kollect-Cluster': cluster,
    'Kollect-Namespace': namespace,
    'Kollect-Inventory': name,
    'Kollect-Generation': String(generation),
    'Kollect-Event': type,
    ...(epoch === undefined ? {} : { 'Kollect-Epoch': String(epoch) }),
  };
}

/**
 * What a broker knows the message again by.
 *
 * @param pass equal for attempts at the same change, and for no others: a value that comes back after another one is a message of its own
 */
export function eventId({ identity }: EventSource, event: ItemEvent, pass: string): string {
  const { cluster, namespace, name } = identity;
  return fieldsId([cluster, namespace, name, pass, ...nameOf(event)]);
}

/**
 * Which messages of an inventory one replaces: those of its row, or about the same targets. A name of a target has no upper case, and a row two fields.
 *
 * @example eventKey({ type: 'delete', key: { targetName: 'web', uid: '3f0c' } }) // ['web', '3f0c']
 */
export function eventKey(event: ItemEvent): readonly string[] {
  switch (event.type) {
    case 'upsert':
      return [event.row.targetName, event.row.uid];
    case 'delete':
      return [event.key.targetName, event.key.uid];
    case 'keep':
      return ['keep', event.key.targetName, event.key.uid];
    case 'removed':
      return [];
    case 'snapshotBegin':
    case 'snapshotEnd':
      return [event.type, fieldsId(event.targets)];
  }
}

/** Both say the same. */
export function isSameEvent(one: ItemEvent, other: ItemEvent | undefined): boolean {
  if (one.type === 'upsert') return other?.type === 'upsert' && one.row.hash === other.row.hash && isSameKey(one.row, other.row);
  if ('key' in one) return other?.type === one.type && isSameKey(one.key, other.key);
  return one.type === other?.type;
}

function isSameKey(one: RowKey, other: RowKey): boolean {
  return one.uid === other.uid && one.targetName === other.targetName;
}

function nameOf(event: ItemEvent): string[] {
  if (event.type === 'upsert') return [event.type, event.row.targetName, event.row.uid, Buffer.from(event.row.hash, 'latin1').toString('hex')];
  return 'key' in event ? [event.type, event.key.targetName, event.key.uid] : [event.type];
}
