import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ExportRow } from '../../controller/sinks/contract.ts';
import { eventMessages, messageId, type EventExport, type EventMessage } from '../../controller/sinks/documents/event-messages.ts';

const golden = readFileSync(join(import.meta.dirname, '../schema/golden/nats-event-envelope.json'), 'utf8');
const [goldenRow] = (JSON.parse(golden) as { payload: object[] }).payload;
const identity = { namespace: 'team-a', name: 'api', cluster: 'prod-west', generation: 3 };
const timestamp = new Date('2026-01-15T12:00:00.310Z');

function rowOf(uid: string, text: string): ExportRow {
  const payload = JSON.stringify({ ...goldenRow, name: uid, uid, attributes: { text } });
  return { targetNamespace: 'team-a', targetName: 'deployments', namespace: 'team-a', name: uid, uid, payload, hash: '' };
}

async function messagesOf(parts: Partial<EventExport>): Promise<{ messages: EventMessage[]; rejected: { key: object; code: string }[] }> {
  const { messages, rejected } = await eventMessages({ identity, timestamp, rows: [], ...parts });
  const all = [];
  for await (const message of messages) all.push(message);
  return { messages: all, rejected: [...rejected] };
}

const textOf = ({ body }: EventMessage) => Buffer.from(body).toString();

t.test('an export is an envelope around its rows', async (t) => {
  const [message] = (await messagesOf({ rows: [{ ...rowOf('api', ''), payload: JSON.stringify(goldenRow) }], digest: 'd' })).messages;
  t.equal(textOf(message!), JSON.stringify(JSON.parse(golden)));
  t.strictSame(message!.headers, {
    'Kollect-Cluster': 'prod-west',
    'Kollect-Namespace': 'team-a',
    'Kollect-Inventory': 'api',
    'Kollect-Generation': '3',
    'Kollect-Part': '1/1',
    'Kollect-Checksum': '271c95b256b7debeaac4895c602233298a88d165935b3e549d84c2d32c78b16d',
    'Kollect-Digest': 'd',
  });
  const { messages } = await messagesOf({ identity: { ...identity, cluster: '' } });
  t.strictSame(messages.map(textOf), ['{"schemaVersion":"kollect.dev/v1alpha1","timestamp":"2026-01-15T12:00:00.310Z","cluster":"","namespace":"team-a","payload":[]}'], 'also around none');
});

t.test('a message is known again by whose it is and what it says', async (t) => {
  const idOf = async (parts: Partial<EventExport>) => (await messagesOf(parts)).messages[0]!.id;
  t.equal(await idOf({}), createHash('sha256').update('9:prod-west6:team-a3:api3:1/12:[]').digest('hex'));
  t.equal(await idOf({}), '06ca9fe4b0226dce6ab1675c712aae674f5b4d7dfcab1e4c1c29622e42662b5e');
  t.equal(await idOf({ timestamp: new Date() }), await idOf({}), 'whenever it is sent');
  const others = await Promise.all([{}, { identity: { ...identity, name: 'other' } }, { identity: { ...identity, cluster: '' } }, { identity: { ...identity, cluster: 'prod', namespace: '-westteam-a' } }, { rows: [rowOf('a', '')] }].map(idOf));
  t.equal(new Set([...others, messageId(identity, { index: 1, total: 1 }, '[]', 'digest'), messageId(identity, { index: 1, total: 2 }, '[]')]).size, 7);
});

t.test('messages are as full as the broker allows, and no fuller', async (t) => {
  const rows = Array.from({ length: 40 }, (_, index) => rowOf(`u${index}`, 'ä'.repeat(index * 7)));
  const maxBytes = 2_000;
  const { messages, rejected } = await messagesOf({ rows: [...rows.slice(0, 20), rowOf('large', 'x'.repeat(2_000)), ...rows.slice(20)], maxBytes });
  t.match(rejected, [{ key: { uid: 'large' }, code: 'PayloadTooLarge' }]);
  t.strictSame(messages.flatMap(({ rows: sent }) => sent.map(({ uid }) => uid)), rows.map(({ uid }) => uid));
  t.strictSame(messages.map(({ headers }) => headers['Kollect-Part']), messages.map((_message, at) => `${at + 1}/${messages.length}`));
  for (const [at, message] of messages.entries()) {
    t.ok(message.body.length <= maxBytes);
    t.strictSame((JSON.parse(textOf(message)) as { payload: object[] }).payload.length, message.rows.length);
    const next = messages[at + 1]?.rows[0];
    t.ok(!next || message.body.length + 1 + Buffer.byteLength(next.payload) > maxBytes, 'the next row has no room');
  }
  const exact = messages[0]!.body.length;
  t.equal((await messagesOf({ rows: messages[0]!.rows, maxBytes: exact })).messages.length, 1);
  t.equal((await messagesOf({ rows: messages[0]!.rows, maxBytes: exact - 1 })).messages.length, 2);
});
