import type { PreviewSample } from '../contract.ts';
import { eventMessages } from './event-messages.ts';
import { eventBody, eventHead, eventHeaders, eventId, eventKey, type EventSource, type ItemEvent } from './item-events.ts';
import type { Message } from './outlet.ts';

/** A message as an export sends it, for previews: of an inventory with one row, or of a row. */
export async function sampleMessage(sample: PreviewSample, isPerItem: boolean): Promise<Message | undefined> {
  return isPerItem ? ofRow(sample) : await ofInventory(sample);
}

async function ofInventory({ identity, rows, after: { digest }, exportedAt: timestamp }: PreviewSample): Promise<Message | undefined> {
  const { messages } = await eventMessages({ identity, timestamp, rows: rows.slice(0, 1), digest });
  for await (const message of messages) return message;
  return undefined;
}

function ofRow({ identity, rows, exportedAt: timestamp }: PreviewSample): Message | undefined {
  const [row] = rows;
  if (!row) return undefined;
  const source: EventSource = { identity, timestamp, epoch: undefined };
  const event: ItemEvent = { type: 'upsert', row };
  return { body: eventBody(eventHead(source), event), key: eventKey(event), id: eventId(source, event, timestamp.toISOString()), headers: eventHeaders(source, event) };
}
