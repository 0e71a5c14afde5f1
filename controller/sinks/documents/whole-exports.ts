import { inTurns } from '../../../shared/in-turns.ts';
import { rowName, type InventoryIdentity, type RowKey, type SinkChange, type WriteResult } from '../contract.ts';
import { eventMessages, type EventExport } from './event-messages.ts';
import { snapshotOf, type Snapshot } from './snapshot.ts';
import { keyOf, type Outlet } from './outlet.ts';

/** What was confirmed last of an inventory. */
interface Confirmed {
  /** Of all rows. */
  checksum: string;
  parts: number;
  rows: readonly RowKey[];
}

const nothing: Omit<WriteResult, 'held'> = { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };

/** Publishes an inventory as a whole, whenever it differs from what was confirmed last. */
export class WholeExports {
  readonly #confirmed = new Map<string, Confirmed>();
  /** What was tried last and not confirmed: its checksum, and what told it from an earlier one. */
  readonly #tried = new Map<string, { checksum: string; again: string }>();

  /** Nothing is known of the stream any more. */
  forget(): void {
    this.#confirmed.clear();
    this.#tried.clear();
  }

  async write(change: SinkChange, outlet: Outlet): Promise<WriteResult> {
    const { identity, upserts, since, staleLimit, after } = change;
    const snapshot = await snapshotOf(upserts);
    const before = this.#confirmed.get(keyOf(identity));
    const deletes = since?.deletes ?? (before && (await lacking(before.rows, snapshot.rows)));
    const doubtful = deletes ? deletes.filter(({ targetName }) => !staleLimit?.exempt.includes(targetName)).length : lostRows(staleLimit);
    if (staleLimit && doubtful > staleLimit.rows) return { ...nothing, held: doubtful };
    const maxBytes = Math.min(outlet.maxBytes(identity), change.maxDocumentBytes ?? Infinity);
    const { parts, bytes, rejected } = await this.#publish(identity, snapshot, { digest: after?.digest, maxBytes }, outlet);
    const confirmed = snapshot.rows.length - rejected.length;
    return { confirmed, written: parts > 0 ? confirmed : 0, deleted: parts > 0 ? (deletes?.length ?? 0) : 0, bytes, rejected };
  }

  /** An inventory that is gone is an empty one. Of one that was not published here it is not known how many rows it had. */
  async remove(identity: InventoryIdentity, isOwn: boolean, outlet: Outlet): Promise<{ deleted: number }> {
    const before = this.#confirmed.get(keyOf(identity));
    if (before ? before.rows.length === 0 : !isOwn) return { deleted: 0 };
    await this.#publish(identity, await snapshotOf([]), { maxBytes: outlet.maxBytes(identity) }, outlet);
    return { deleted: before?.rows.length ?? 1 };
  }

  /** `parts` is 0 when the stream has all of it as its last word. */
  async #publish(identity: InventoryIdentity, { rows, checksum }: Snapshot, limits: Pick<EventExport, 'digest' | 'maxBytes'>, outlet: Outlet): Promise<{ parts: number; bytes: number; rejected: WriteResult['rejected'] }> {
    const { timestamp, epoch } = outlet;
    const { messages, parts, rejected } = await eventMessages({ identity, timestamp, epoch, rows, ...limits });
    const key = keyOf(identity);
    const before = this.#confirmed.get(key);
    if (before?.checksum === checksum && before.parts === parts) return { parts: 0, bytes: 0, rejected };
    // Whatever comes of it, it is not known any more what the stream has last.
    this.#confirmed.delete(key);
    // The stream drops what it had a while ago, and that is not its last word if there was another since. An attempt at the same may have arrived: it is not told a third time.
    // Parts are only of use if all have one time.
    const tried = this.#tried.get(key);
    const again = parts === 1 && tried?.checksum === checksum ? tried.again : `${before?.checksum ?? ''} ${timestamp.toISOString()}`;
    this.#tried.set(key, { checksum, again });
    let bytes = 0;
    for await (const { body, key, id, idAgain, headers } of messages) {
      bytes += body.length;
      const [isKnown] = await outlet.send([{ body, key, id, headers }]);
      if (isKnown) await outlet.send([{ body, key, id: idAgain(again), headers }]);
    }
    this.#tried.delete(key);
    this.#confirmed.set(key, { checksum, parts, rows });
    return { parts, bytes, rejected };
  }
}

/** Of rows that a former process published. While none may go, one at least has to be thought of. */
function lostRows(limit: SinkChange['staleLimit']): number {
  return limit?.lost === undefined ? 0 : Math.max(limit.rows === 0 ? 1 : 0, limit.lost);
}

/** Rows of the former that the latter have no more. */
async function lacking(former: readonly RowKey[], rows: readonly RowKey[]): Promise<readonly RowKey[]> {
  const named = new Set<string>();
  if (former.length > 0) await inTurns(rows, (key) => named.add(rowName(key)));
  const found: RowKey[] = [];
  await inTurns(former, (key) => {
    if (!named.has(rowName(key))) found.push(key);
  });
  return found;
}
