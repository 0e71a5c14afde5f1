import t from 'tap';
import { startNats } from '../servers/nats/index.ts';
import { canary } from './conformance.ts';
import { conforms } from './conforms.ts';
import { documentSink } from './document-sink.ts';
import { natsPlace } from './nats-place.ts';

const server = await startNats({ config: () => `max_payload: 65536\nauthorization { user: kollect, password: "${canary}" }` });
const ends: (() => Promise<void> | void)[] = [];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
  await server.stop();
});

const supports = { rowRefusal: false, counts: false, digests: false, owners: false, rowQuestions: false, nul: true };
const place = (mode: 'aggregate' | 'perItem') => natsPlace(server, mode, (end) => ends.push(end));

conforms({
  name: 'nats with an event for each row',
  supports: { ...supports, changes: true },
  maxRowBytes: 65_536,
  destination: () => place('perItem'),
});

conforms({
  name: 'nats with a message for each export',
  supports: { ...supports, changes: false },
  maxRowBytes: 65_536,
  destination: async () => {
    const { open, ...destination } = await place('aggregate');
    return { ...destination, open: async (options) => documentSink(await open(options)) };
  },
});
