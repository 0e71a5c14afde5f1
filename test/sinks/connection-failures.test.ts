import t from 'tap';
import { failsWell } from './connection-failures.ts';
import { gitFailures } from './git-failures.ts';
import { kafkaFailures } from './kafka-failures.ts';
import { natsFailures } from './nats-failures.ts';
import { s3Failures } from './object-failures.ts';
import { postgresFailures } from './postgres-failures.ts';

const ends: (() => Promise<void> | void)[] = [];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const onEnd = (end: () => Promise<void> | void): void => void ends.push(end);
const places = await Promise.all([postgresFailures(onEnd), natsFailures(onEnd), gitFailures(onEnd), kafkaFailures(onEnd), s3Failures(onEnd)]);
// All at once: much of it is waiting.
t.jobs = places.length + 1;
for (const place of places.flat()) failsWell(place);
