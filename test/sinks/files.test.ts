import t from 'tap';
import { inventoryFiles, type InventoryContents } from '../../controller/sinks/documents/files.ts';
import { snapshotOf } from '../../controller/sinks/documents/snapshot.ts';
import type { ExportRow } from '../../controller/sinks/contract.ts';
import { layoutOf, type LaidOutSpec } from '../../shared/layout/layout.ts';
import { identity, row } from './conformance.ts';

const manifest = (kind: string) => ({ resource: { apiVersion: 'v1', data: { a: '}"{', b: [1, { c: 'x' }] }, kind } });

async function contentsOf(rows: readonly ExportRow[], spec: LaidOutSpec, exportedAt = new Date(0)): Promise<InventoryContents> {
  return { identity: identity(), exportedAt, layout: layoutOf({ type: 'git', ...spec }), ...(await snapshotOf([rows])) };
}

async function text(content: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

async function written(rows: readonly ExportRow[], spec: LaidOutSpec): Promise<Record<string, string>> {
  const { files } = inventoryFiles(await contentsOf(rows, spec));
  return Object.fromEntries(await Promise.all(files.map(async ({ path, content }) => [path, await text(content())] as const)));
}

t.test('an inventory becomes one document, or a file for each row, with an index where one is wanted', async (t) => {
  const two = [row('b', { v: 2 }), row('a', { v: 1 })];
  t.strictSame(Object.keys(await written(two, {})), ['inventory/team-a/shop.yaml']);
  t.strictSame(await written(two, { layout: { mode: 'perResource', content: 'attributes' } }), { 'default/ns/pod/a.yaml': 'v: 1\n', 'default/ns/pod/b.yaml': 'v: 2\n' });
  t.strictSame(await written(two.slice(1), { layout: { mode: 'perResource', content: 'attributes' }, serialization: { format: 'json' } }), { 'default/ns/pod/a.json': '{\n  "v": 1\n}\n' });
  t.strictSame(await written([row('a', 'null')], { layout: { mode: 'perResource', content: 'attributes' }, serialization: { format: 'ndjson' } }), { 'default/ns/pod/a.ndjson': '{}\n' });
  const split = await written(two, { layout: { mode: 'split' } });
  t.match(split['inventory/team-a/shop.yaml'], /^schemaVersion: kollect.dev\/v1alpha1\nitemCount: 2\nchecksum: [0-9a-f]{64}\nexportedAt: "?1970-01-01T00:00:00Z"?\ncluster: default\npaths:\n- default\/ns\/pod\/a.yaml\n- default\/ns\/pod\/b.yaml\n$/);
  t.strictSame(Object.keys(await written([], { layout: { mode: 'perResource' } })), []);
});

t.test('whole objects become a tree of manifests where the sink says nothing', async (t) => {
  const whole = [row('a', manifest('Pod')), row('b', manifest('pod'))];
  const files = await written(whole, { serialization: { format: 'json' } });
  t.strictSame(Object.keys(files), ['default/ns/pod/a.json', 'default/ns/pod/b.json']);
  t.strictSame(JSON.parse(files['default/ns/pod/a.json']!), manifest('Pod').resource);
  t.strictSame(Object.keys(await written([...whole, row('c', manifest('Service'))], {})), ['inventory/team-a/shop.yaml'], 'another kind is not what was collected');
  t.strictSame(Object.keys(await written([...whole, row('c', { ...manifest('Pod'), more: 1 })], {})), ['inventory/team-a/shop.yaml'], 'nor is one attribute among others');
  t.strictSame(Object.keys(await written(whole, { layout: { mode: 'document' } })), ['inventory/team-a/shop.yaml']);
  await t.rejects(written([row('a', { v: 1 })], { layout: { mode: 'perResource', content: 'manifest' } }), { code: 'KOL_SINK_CONFIG', message: /the row "a" holds no whole object/ });
});

t.test('two rows with one path are an error, and a row without one', async (t) => {
  await t.rejects(written([row('a'), row('a', {}, 'jobs')], { layout: { mode: 'perResource' } }), { code: 'KOL_SINK_CONFIG', class: 'terminal', message: /have the path "default\/ns\/pod\/a.yaml"/ });
  await t.rejects(written([row('..')], { layout: { mode: 'perResource' } }), { code: 'KOL_SINK_CONFIG', message: /the row ".." has no path/ });
});

t.test('a file that says the same at another time is told from one that does not', async (t) => {
  for (const spec of [{ serialization: { format: 'json' } }, { layout: { mode: 'split' } }, { layout: { mode: 'split' }, serialization: { format: 'json' } }] as const) {
    const [then, now, other] = await Promise.all([contentsOf([row('a', { v: 1 })], spec), contentsOf([row('a', { v: 1 })], spec, new Date(1e12)), contentsOf([row('a', { v: 2 })], spec)]);
    const [was, is, differs] = [then, now, other].map((contents) => inventoryFiles(contents).files[0]!) as [InventoryFileOf, InventoryFileOf, InventoryFileOf];
    const there = Buffer.from(await text(was.content()));
    t.not(await text(is.content()), there.toString());
    t.equal(was.version, is.version);
    t.ok(is.saysSame?.(there));
    t.not(differs.version, is.version);
    t.notOk(differs.saysSame?.(there));
  }
});
type InventoryFileOf = ReturnType<typeof inventoryFiles>['files'][number];
