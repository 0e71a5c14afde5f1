// Keeps the inventories that Kollect publishes on a subject of NATS JetStream, in both modes of spec.events.mode. As a program it reads a stream and prints
// one line of JSON a row:
//
//   node nats-consumer.ts nats://127.0.0.1:4222 kollect_events inventory.events
import { connect } from 'nats';

export interface Row {
  targetNamespace: string;
  targetName: string;
  namespace: string;
  name: string;
  group?: string;
  version: string;
  kind: string;
  uid: string;
  attributes: unknown;
}

interface Key {
  targetName: string;
  uid: string;
}

interface Envelope {
  timestamp: string;
  cluster: string;
  namespace: string;
}

/** A message of events.mode aggregate. */
interface Export extends Envelope {
  payload: Row[];
}

/** A message of events.mode perItem. */
type Event = Envelope &
  (
    | { type: 'upsert'; payload: Row }
    | { type: 'delete' | 'keep'; key: Key }
    | { type: 'snapshotBegin' | 'removed' }
    | { type: 'snapshotEnd'; targets: string[]; knownTargets?: string[]; spared?: { targetName: string; group: string; kind: string; namespace?: string }[] }
  );

interface Inventory {
  cluster: string;
  namespace: string;
  name: string;
  epoch: number;
  timestamp: string;
  /** By target and uid. */
  rows: Map<string, Row>;
  /** Parts of an export that is not complete. */
  parts?: { timestamp: string; rows: Map<number, Row[]> } | undefined;
  /** Rows that came since a snapshot began. */
  seen?: Set<string> | undefined;
}

/** What is read of a message of the client. */
export interface Message {
  data: Uint8Array;
  headers?: { get(name: string): string } | undefined;
}

/** All rows of all inventories, as far as messages have told of them. Give it each message once or more often, in the order of the stream. */
export class Inventories {
  /** By cluster, namespace and name. */
  readonly #inventories = new Map<string, Inventory>();

  apply({ data, headers }: Message): void {
    const body = JSON.parse(new TextDecoder().decode(data)) as Export | Event;
    const { cluster, namespace, timestamp } = body;
    const name = headers?.get('Kollect-Inventory') ?? '';
    const key = JSON.stringify([cluster, namespace, name]);
    const inventory = this.#inventories.get(key) ?? { cluster, namespace, name, epoch: 0, timestamp: '', rows: new Map() };
    // A message of a former leader, or of a pass that was given up, may come late.
    const epoch = Number(headers?.get('Kollect-Epoch') || 0);
    if (epoch < inventory.epoch || (epoch === inventory.epoch && timestamp < inventory.timestamp)) return;
    this.#inventories.set(key, inventory);
    if ('type' in body) applyEvent(inventory, body);
    else applyExport(inventory, body, headers?.get('Kollect-Part') ?? '1/1');
    Object.assign(inventory, { epoch, timestamp });
  }

  rows(): { cluster: string; namespace: string; inventory: string; row: Row }[] {
    return [...this.#inventories.values()].flatMap(({ cluster, namespace, name, rows }) => [...rows.values()].map((row) => ({ cluster, namespace, inventory: name, row })));
  }
}

/** A message holds the whole inventory, or a numbered part of it; parts of one export have one timestamp. */
function applyExport(inventory: Inventory, { timestamp, payload }: Export, part: string): void {
  const [index = 1, total = 1] = part.split('/').map(Number);
  if (inventory.parts?.timestamp !== timestamp) inventory.parts = { timestamp, rows: new Map() };
  inventory.parts.rows.set(index, payload);
  if (inventory.parts.rows.size < total) return;
  inventory.rows = new Map([...inventory.parts.rows.values()].flat().map((row) => [keyOf(row), row]));
  inventory.parts = undefined;
}

/** A message tells of one row, or that all rows of some targets were told. */
function applyEvent(inventory: Inventory, event: Event): void {
  const { rows, seen } = inventory;
  switch (event.type) {
    case 'upsert':
      rows.set(keyOf(event.payload), event.payload);
      seen?.add(keyOf(event.payload));
      break;
    case 'delete':
      rows.delete(keyOf(event.key));
      break;
    case 'keep':
      seen?.add(keyOf(event.key));
      break;
    case 'snapshotBegin':
      inventory.seen = new Set();
      break;
    case 'snapshotEnd':
      // Without its begin nobody knows what came.
      if (seen) for (const [key, row] of rows) if (isGone(row, seen.has(key), event)) rows.delete(key);
      inventory.seen = undefined;
      break;
    case 'removed':
      rows.clear();
      break;
  }
}

function isGone(row: Row, isSeen: boolean, { targets, knownTargets, spared = [] }: Extract<Event, { type: 'snapshotEnd' }>): boolean {
  const { targetName, group = '', kind, namespace } = row;
  if (knownTargets && !knownTargets.includes(targetName)) return true;
  if (isSeen || !targets.includes(targetName)) return false;
  const isOf = (rows: (typeof spared)[number]): boolean => rows.targetName === targetName && rows.kind === kind.toLowerCase() && rows.group === group.toLowerCase() && (rows.namespace ?? namespace) === namespace;
  return !spared.some(isOf);
}

function keyOf({ targetName, uid }: Key): string {
  return `${targetName}/${uid}`;
}

async function main([servers = '127.0.0.1:4222', stream = 'kollect_events', subject = '>']: string[]): Promise<void> {
  const client = await connect({ servers });
  try {
    const inventories = new Inventories();
    const { state } = await (await client.jetstreamManager()).streams.info(stream, { subjects_filter: subject });
    if (Object.keys(state.subjects ?? {}).length > 0) {
      const consumer = await client.jetstream().consumers.get(stream, { filterSubjects: subject });
      for await (const message of await consumer.consume()) {
        inventories.apply(message);
        // Without this line it follows the stream.
        if (message.info.pending === 0) break;
      }
    }
    for (const row of inventories.rows()) process.stdout.write(`${JSON.stringify(row)}\n`);
  } finally {
    await client.close();
  }
}

if (import.meta.main) await main(process.argv.slice(2));
