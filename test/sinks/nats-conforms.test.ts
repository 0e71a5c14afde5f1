import t from 'tap';
import { startNats } from '../servers/nats/index.ts';
import { canary } from './conformance.ts';
import { conforms } from './conforms.ts';
import { natsPlace } from './nats-place.ts';

const server = await startNats({ config: () => `max_payload: 65536\nauthorization { user: kollect, password: "${canary}" }` });
const ends: (() => Promise<void> | void)[] = [];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
  await server.stop();
});

conforms({
  name: 'nats with an event for each row',
  supports: { rowRefusal: false, counts: false, digests: false, owners: false, rowQuestions: false, nul: true },
  maxRowBytes: 65_536,
  destination: () => natsPlace(server, 'perItem', (end) => ends.push(end)),
});
