import { createInbox, ErrorCode as NatsCode, headers, NatsError, type ApiError, type Msg, type MsgHdrs, type NatsConnection } from 'nats';
import type { Message } from '../documents/outlet.ts';
import { answerMs } from './connection.ts';
import type { StreamSettings } from './settings.ts';

/** How much longer than its body a message is for its headers, at most, beside the values of identity and stream. */
export const headerBytes = 512;

type Place = Pick<StreamSettings, 'subject' | 'stream'>;

/**
 * Publishes messages to a stream in their order, and says of each whether the stream had it already. The first goes ahead, because the client tells only one who waits
 * for a single answer that it may not publish; the others share one inbox, which costs a tenth of waiting for each by itself.
 */
export async function publish(client: NatsConnection, place: Place, messages: readonly Message[]): Promise<boolean[]> {
  const [first, ...others] = messages;
  if (!first) return [];
  const { duplicate } = await client.jetstream({ timeout: answerMs }).publish(place.subject, first.body, { headers: fieldsOf(place, first) });
  return [duplicate, ...(others.length > 0 ? await publishTogether(client, place, others) : [])];
}

async function publishTogether(client: NatsConnection, place: Place, messages: readonly Message[]): Promise<boolean[]> {
  const inbox = createInbox();
  const known = messages.map(() => false);
  const done = Promise.withResolvers<void>();
  let left = messages.length;
  const subscription = client.subscribe(`${inbox}.*`, {
    callback: (error, answer) => {
      try {
        if (error) throw error;
        known[Number(answer.subject.slice(inbox.length + 1))] = isDuplicate(answer);
        if (--left === 0) done.resolve();
      } catch (cause) {
        done.reject(cause);
      }
    },
  });
  // Whoever waits hears it; nobody does when publishing itself failed.
  done.promise.catch(() => undefined);
  void subscription.closed.then(() => done.reject(NatsError.errorForCode(NatsCode.ConnectionClosed)));
  const timer = setTimeout(() => done.reject(NatsError.errorForCode(NatsCode.Timeout)), answerMs);
  try {
    let former: { of: Message['headers']; fields: MsgHdrs } | undefined;
    for (const [at, message] of messages.entries()) {
      if (former?.of !== message.headers) former = { of: message.headers, fields: fieldsOf(place, message) };
      former.fields.set('Nats-Msg-Id', message.id);
      client.publish(place.subject, message.body, { headers: former.fields, reply: `${inbox}.${at}` });
    }
    await done.promise;
    return known;
  } finally {
    clearTimeout(timer);
    subscription.unsubscribe();
  }
}

/** Of a message, as they are sent. */
export function fieldsOf({ stream }: Place, message: Message): MsgHdrs {
  const fields = headers();
  for (const [name, value] of Object.entries({ ...message.headers, 'Nats-Msg-Id': message.id, 'Nats-Expected-Stream': stream })) fields.set(name, value);
  return fields;
}

/** What the stream says of a message that it took. */
function isDuplicate(answer: Msg): boolean {
  if (answer.headers?.code === 503) throw NatsError.errorForCode(NatsCode.NoResponders);
  const { error, duplicate = false } = answer.json<{ error?: ApiError; duplicate?: boolean }>();
  if (error) throw Object.assign(new NatsError(error.description, String(error.code)), { api_error: error });
  return duplicate;
}
