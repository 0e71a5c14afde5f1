import { inTurns } from '../../../shared/in-turns.ts';
import type { InventoryIdentity, RowKey, SinkChange, WriteResult } from '../contract.ts';
import { planItems, type ItemPlan } from './item-changes.ts';
import { eventBody, eventHead, eventHeaders, eventId, eventKey, isSameEvent, type EventSource, type ItemEvent } from './item-events.ts';
import { keyOf, type Message, type Outlet } from './outlet.ts';
import { PublishedRows } from './published-rows.ts';

/** Publishes each row that changes, so that whoever reads all of it has the inventory. */
export class ItemExports {
  /** By inventory. */
  readonly #published = new Map<string, PublishedRows>();
  /** Changes that were not confirmed, and the pass in whose name they were sent. */
  readonly #failed = new Map<string, { pass: string; changes: readonly ItemEvent[] }>();

  /** Nothing is known of the stream any more. */
  forget(): void {
    this.#published.clear();
    this.#failed.clear();
  }

  async write(change: SinkChange, outlet: Outlet): Promise<WriteResult> {
    const { identity } = change;
    const source: EventSource = { identity, timestamp: outlet.timestamp, epoch: outlet.epoch };
    const head = eventHead(source);
    const key = keyOf(identity);
    const published = this.#published.get(key) ?? new PublishedRows();
    this.#published.set(key, published);
    const plan = await planItems(change, published, outlet.maxBytes(identity) - eventBody(head, emptyUpsert).length);
    const { changes, snapshot, rejected, held } = plan;
    let bytes = 0;
    const headers = new Map<ItemEvent['type'], Message['headers']>();
    const headersOf = (event: ItemEvent): Message['headers'] => {
      const ofType = headers.get(event.type) ?? eventHeaders(source, event);
      headers.set(event.type, ofType);
      return ofType;
    };
    const messageOf = (event: ItemEvent, pass: string): Message => {
      const body = eventBody(head, event);
      bytes += body.length;
      return { body, key: eventKey(event), id: eventId(source, event, pass), headers: headersOf(event) };
    };
    const failed = this.#failed.get(key);
    const pass = failed && (await isSame(changes, failed.changes)) ? failed.pass : outlet.timestamp.toISOString();
    const ended = (): boolean => outlet.signal.aborted;
    await inTurns(changes, (event) => published.doubt(keyOfEvent(event)), ended);
    // Another attempt may be under way since somebody gave this one up.
    outlet.signal.throwIfAborted();
    if (changes.length > 0 || snapshot) published.isRemoved = false;
    for (const target of snapshot?.rows.keys() ?? []) published.forget(target);
    this.#failed.set(key, { pass, changes });
    await outlet.send(iterate(changes, (event) => messageOf(event, pass)));
    this.#failed.delete(key);
    let [written, deleted] = [0, 0];
    const settle = (event: ItemEvent): void => {
      if (event.type === 'upsert') written++;
      else deleted++;
      published.settle(keyOfEvent(event), event.type === 'upsert' ? event.row : undefined);
    };
    await inTurns(changes, settle, ended);
    // It begins anew when it fails, so that none of it is left out as known.
    if (snapshot) await outlet.send(iterate(snapshotEvents(snapshot), (event) => messageOf(event, outlet.timestamp.toISOString())));
    outlet.signal.throwIfAborted();
    written += snapshot?.rows.values().reduce((sum, { size }) => sum + size, 0) ?? 0;
    confirm(snapshot, published, change);
    return { confirmed: change.upsertCount - rejected.length, written, deleted, bytes, rejected, ...(held > 0 ? { held } : {}) };
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, outlet: Outlet): Promise<{ deleted: number }> {
    const key = keyOf(identity);
    const published = this.#published.get(key);
    if (published ? published.isRemoved : !isOwn) return { deleted: 0 };
    this.#published.delete(key);
    const source: EventSource = { identity, timestamp: outlet.timestamp, epoch: outlet.epoch };
    const event: ItemEvent = { type: 'removed' };
    await outlet.send([{ body: eventBody(eventHead(source), event), key: eventKey(event), id: eventId(source, event, outlet.timestamp.toISOString()), headers: eventHeaders(source, event) }]);
    const none = new PublishedRows();
    none.limit([]);
    none.isRemoved = true;
    this.#published.set(key, none);
    // How many rows readers had is not known of all inventories.
    return { deleted: published?.isKnown ? published.size : Math.max(1, published?.size ?? 0) };
  }
}

const emptyUpsert: ItemEvent = { type: 'upsert', row: { targetName: '', targetNamespace: '', namespace: '', name: '', uid: '', payload: '', hash: '' } };

async function isSame(changes: readonly ItemEvent[], former: readonly ItemEvent[]): Promise<boolean> {
  let [at, same] = [0, changes.length === former.length];
  await inTurns(changes, (event) => (same = isSameEvent(event, former[at++])), () => !same);
  return same;
}

function* iterate(events: Iterable<ItemEvent>, messageOf: (event: ItemEvent) => Message): Generator<Message> {
  for (const event of events) yield messageOf(event);
}

function* snapshotEvents({ rows, keeps, end }: NonNullable<ItemPlan['snapshot']>): Generator<ItemEvent> {
  yield { type: 'snapshotBegin', targets: end.targets };
  for (const ofTarget of rows.values()) for (const row of ofTarget.values()) if (row) yield { type: 'upsert', row };
  for (const key of keeps) yield { type: 'keep', key };
  yield end;
}

function keyOfEvent(event: ItemEvent): RowKey {
  if (event.type === 'upsert') return event.row;
  return 'key' in event ? event.key : { targetName: '', uid: '' };
}

/** Readers have what the snapshot says. Of rows that are spared it is not known which they have. */
function confirm(snapshot: ItemPlan['snapshot'], published: PublishedRows, { knownTargets }: SinkChange): void {
  if (snapshot) {
    const { rows, keeps, end } = snapshot;
    for (const { targetName, uid } of keeps) rows.get(targetName)?.set(uid, undefined);
    for (const [target, ofTarget] of rows) if (!end.spared?.some(({ targetName }) => targetName === target)) published.replace(target, ofTarget);
  }
  if (knownTargets && (!snapshot || snapshot.end.knownTargets || !published.mayHaveOthers(knownTargets))) published.limit(knownTargets);
}
