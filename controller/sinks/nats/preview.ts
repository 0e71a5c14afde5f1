import type { KollectEventSinkSpec } from '../../../shared/api/kollect-event-sink.ts';
import type { BackendPreview, PreviewSample } from '../contract.ts';
import { eventMessages } from '../documents/event-messages.ts';
import { eventBody, eventHead, eventHeaders, eventId, type EventSource, type ItemEvent } from '../documents/item-events.ts';
import { fieldsOf, type Message } from './publish.ts';
import { readStream } from './settings.ts';
import { newStream } from './stream.ts';

/** Where messages go, and one of them: of an inventory with one row, or of a row. */
export async function previewMessages(spec: KollectEventSinkSpec, sample: PreviewSample, isPerItem: boolean): Promise<BackendPreview> {
  const settings = readStream(spec);
  const { subject, stream, mustExist } = settings;
  const message = isPerItem ? ofRow(sample) : await ofInventory(sample);
  const fields = message && fieldsOf(settings, message);
  return {
    nats: {
      subject,
      stream,
      ...(!mustExist && { expectedStream: JSON.stringify(newStream(settings)) }),
      ...(message && fields && { sampleHeaders: fields.keys().map((name) => `${name}: ${fields.get(name)}`), sampleBody: Buffer.from(message.body).toString() }),
    },
  };
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
  return { body: eventBody(eventHead(source), event), id: eventId(source, event, timestamp.toISOString()), headers: eventHeaders(source, event) };
}
