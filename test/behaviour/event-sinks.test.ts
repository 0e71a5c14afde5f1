import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'nats';
import t from 'tap';
import { startKafka } from '../servers/kafka/index.ts';
import { startNats } from '../servers/nats/index.ts';
import { startKollect } from './harness.ts';
import { administratorOf } from './shell.ts';
import { followPage } from './walkthrough.ts';

// The page is followed as it stands, on a cluster that has Kollect, a NATS server and a broker of Kafka.

const [nats, kafka] = await Promise.all([startNats(), startKafka()]);
t.teardown(() => Promise.all([nats.stop(), kafka.stop()]));
const kollect = await startKollect({ test: t, mapHosts: [`nats.kollect-system.svc:4222=127.0.0.1:${nats.port}`, `kafka.kollect-system.svc:9092=127.0.0.1:${kafka.port}`] });
const url = `nats://127.0.0.1:${nats.port}`;

t.test('every command of the page does what the page says', async (t) => {
  await followPage(t, 'docs/examples/event-sinks.md', kollect, { ...administratorOf(kollect.cluster), NATS: url, KAFKA: `127.0.0.1:${kafka.port}` });
});

t.test('what was published has the form that is promised', async (t) => {
  const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../schema/golden/nats-event-envelope.json'), 'utf8')) as { payload: object[] };
  const client = await connect({ servers: url });
  t.teardown(() => client.close());
  const { streams } = await client.jetstreamManager();
  const first = await streams.getMessage('kollect_events', { seq: 1 });
  const envelope = first.json<{ payload: object[] }>();
  t.strictSame(Object.keys(envelope), Object.keys(golden));
  t.strictSame(Object.keys(envelope.payload[0]!), Object.keys(golden.payload[0]!));
  t.match(envelope, { schemaVersion: 'kollect.dev/v1alpha1', cluster: 'prod-west', namespace: 'default' });
  t.match(first.header.get('Nats-Msg-Id'), /^[0-9a-f]{64}$/);
  const { state } = await streams.info('kollect_events', { subjects_filter: '>' });
  t.strictSame(Object.keys(state.subjects ?? {}).sort(), ['inventory.events', 'inventory.items']);
});
