import t from 'tap';
import { startKafka } from '../servers/kafka/index.ts';
import { canary } from './conformance.ts';
import { conforms } from './conforms.ts';
import { kafkaPlace, readerOf } from './kafka-place.ts';

const server = await startKafka({ user: { name: 'kollect', password: canary }, properties: { 'message.max.bytes': 65_536 } });
const reader = await readerOf(server);
const ends: (() => Promise<void> | void)[] = [() => reader.close()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
  await server.stop();
});

conforms({
  name: 'kafka with an event for each row',
  supports: { changes: true, rowRefusal: false, counts: false, digests: false, owners: false, rowQuestions: false, nul: true },
  maxRowBytes: 65_536,
  destination: () => kafkaPlace(server, reader, 'perItem', (end) => ends.push(end)),
});
