import { createHash } from 'node:crypto';
import { Turns } from '../../../shared/in-turns.ts';
import type { ExportRow, InventoryIdentity, RejectedRow } from '../contract.ts';
import type { Part } from './document.ts';
import { schemaVersion } from './json-document.ts';
import { rejection } from './rejection.ts';
import { itemsChecksum, slicesOf } from './snapshot.ts';

/** One message of an export: an envelope around the canonical JSON of rows. */
export interface EventMessage {
  body: Uint8Array;
  /** Rows in it, in canonical order. */
  rows: readonly ExportRow[];
  part: Part;
  /** See `Message`. */
  key: readonly string[];
  /** Equal for equal content: what a broker knows a message again by. See `messageId`. */
  id: string;
  /** As `id`, for a message that is meant again after another one. */
  idAgain(again: string): string;
  /** What the body does not tell, in names that brokers take as they are. */
  headers: Readonly<Record<string, string>>;
}

export interface EventExport {
  identity: InventoryIdentity;
  /** When it is published. */
  timestamp: Date;
  /** In canonical order; all of the inventory. */
  rows: readonly ExportRow[];
  /** Digest of the snapshot, for the headers. */
  digest?: string | undefined;
  /** Number of the leader who publishes, see `LeaderEpoch`. */
  epoch?: number | undefined;
  /** Of a body, as the broker has it; no limit when unset. */
  maxBytes?: number | undefined;
}

/**
 * The messages of an export: one, or as many as the broker's limit asks for, each as full as can be. An inventory without rows is a message, too. Made one at a
 * time: each is garbage when it is sent.
 */
export async function eventMessages({ identity, timestamp, rows, digest, epoch, maxBytes = Infinity }: EventExport): Promise<{ messages: AsyncIterable<EventMessage>; parts: number; rejected: readonly RejectedRow[] }> {
  const { namespace, name, cluster, generation } = identity;
  const start = `${JSON.stringify({ schemaVersion, timestamp: timestamp.toISOString(), cluster, namespace }).slice(0, -1)},"payload":[`;
  const { groups, rejected } = await grouped(rows, maxBytes - Buffer.byteLength(start) - end.length);
  async function* messages(): AsyncGenerator<EventMessage> {
    for (const [at, group] of groups.entries()) {
      const part = { index: at + 1, total: groups.length };
      const items = group.map(({ payload }) => payload).join(',');
      const headers = {
        'Kollect-Cluster': cluster,
        'Kollect-Namespace': namespace,
        'Kollect-Inventory': name,
        'Kollect-Generation': String(generation),
        'Kollect-Part': partText(part),
        'Kollect-Checksum': await itemsChecksum(group),
        ...(digest === undefined ? {} : { 'Kollect-Digest': digest }),
        ...(epoch === undefined ? {} : { 'Kollect-Epoch': String(epoch) }),
      };
      const idAgain = (again?: string): string => messageId(identity, part, `[${items}]`, again);
      yield { body: Buffer.from(`${start}${items}${end}`), rows: group, part, key: part.total > 1 ? [String(part.index)] : [], id: idAgain(), idAgain, headers };
    }
  }
  return { messages: messages(), parts: groups.length, rejected };
}

/**
 * SHA-256, in hex, of cluster, namespace and name of the inventory, `<part>/<parts>` and the payload as it is sent, each with its length in bytes and a colon in
 * front, so that no two messages share one by chance of where their fields end.
 *
 * @param payload canonical JSON of the rows in the message
 * @param again what tells this message from an earlier one with the same content, when both are meant: the digest of what was confirmed in between, and when this one is sent
 * @example messageId({ cluster: 'prod-west', namespace: 'team-a', name: 'api', generation: 1 }, { index: 1, total: 1 }, '[]') // of '9:prod-west6:team-a3:api3:1/12:[]'
 */
export function messageId({ cluster, namespace, name }: InventoryIdentity, part: Part, payload: string, again?: string): string {
  return fieldsId([cluster, namespace, name, partText(part), payload, ...(again === undefined ? [] : [again])]);
}

/** SHA-256, in hex, of fields that each have their length in bytes and a colon in front. */
export function fieldsId(fields: readonly string[]): string {
  const hash = createHash('sha256');
  for (const field of fields) hash.update(`${Buffer.byteLength(field)}:${field}`);
  return hash.digest('hex');
}

const end = ']}';

function partText({ index, total }: Part): string {
  return `${index}/${total}`;
}

/** @param most bytes of the rows of a message, with the commas between them */
async function grouped(rows: readonly ExportRow[], most: number): Promise<{ groups: readonly (readonly ExportRow[])[]; rejected: readonly RejectedRow[] }> {
  const groups: ExportRow[][] = [[]];
  const rejected: RejectedRow[] = [];
  const turns = new Turns();
  let bytes = 0;
  for (const slice of slicesOf(rows)) {
    for (const row of slice) {
      const size = Buffer.byteLength(row.payload);
      if (size > most) {
        rejected.push(rejection(row, 'PayloadTooLarge', `has ${size} bytes, and a message may have ${most}`));
        continue;
      }
      if (bytes > 0 && bytes + size + 1 > most) {
        groups.push([]);
        bytes = 0;
      }
      groups.at(-1)!.push(row);
      bytes += size + (bytes > 0 ? 1 : 0);
    }
    if (turns.isOver) await turns.next();
  }
  return { groups, rejected };
}
