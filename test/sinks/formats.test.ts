import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import t from 'tap';
import { parse } from 'yaml';
import type { ExportRow, InventoryIdentity } from '../../controller/sinks/contract.ts';
import type { Contents } from '../../controller/sinks/documents/document.ts';
import type { FileStore } from '../../controller/sinks/documents/file-store.ts';
import { documentType, writeDocument, type DocumentSettings } from '../../controller/sinks/documents/formats.ts';
import { eventMessages, type EventMessage } from '../../controller/sinks/documents/event-messages.ts';
import { indentedJson } from '../../controller/sinks/documents/indented-json.ts';
import { InventoryFiles } from '../../controller/sinks/documents/inventory-files.ts';
import { compareRows, snapshotOf } from '../../controller/sinks/documents/snapshot.ts';
import { tableOf } from '../../controller/sinks/documents/table.ts';
import { yamlRow, yamlValue } from '../../controller/sinks/documents/yaml.ts';
import { canonicalJson, canonicalRow, type RowFields } from '../../shared/extract/canonical-json.ts';
import type { Json } from '../../shared/extract/json.ts';
import { Random } from '../faults/random.ts';

// Other values: KOLLECT_SEED=1 tap test/sinks/formats.test.ts
const seed = Number(process.env['KOLLECT_SEED'] ?? 22);

const r1: RowFields = {
  targetNamespace: 'team-a',
  targetName: 'deployments',
  namespace: 'team-a',
  name: 'api',
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  uid: '3f0c8d2e-7a11-4c53-9d57-6f1f2f6f0a01',
  attributes: { image: 'registry.example/api:1.4.2', replicas: 3 },
};
const r2: RowFields = {
  targetNamespace: 'team-a',
  targetName: 'settings',
  namespace: 'team-a',
  name: 'flags',
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  uid: '8b7e1a90-52cd-4a0e-8a53-0d9a4c1f7b02',
  attributes: { data: { a: 'x', b: '<on>&' }, note: null },
};

const identity: InventoryIdentity = { namespace: 'team-a', name: 'api', cluster: 'prod-west', generation: 3 };
const exportedAt = new Date('2026-01-15T12:00:00.250Z');

function rowOf(fields: RowFields): ExportRow {
  const { targetNamespace, targetName, namespace, name, uid } = fields;
  const payload = canonicalRow(fields);
  return { targetNamespace, targetName, namespace, name, uid, payload, hash: createHash('sha256').update(payload).digest().toString('latin1') };
}

/** Rows that the formats write in several slices. */
const many = Array.from({ length: 5_000 }, (_, index) => rowOf({ ...r1, name: `api-${index}`, uid: `uid-${index}`, attributes: { image: `registry.example/api:${index % 7}`, replicas: index } }));

async function contentsOf(rows: readonly ExportRow[], parts: Partial<Contents> = {}): Promise<Contents> {
  return { identity, exportedAt, ...(await snapshotOf([rows])), ...parts };
}

async function bytesOf(settings: Partial<DocumentSettings>, contents: Contents): Promise<Buffer> {
  const pieces = [];
  for await (const piece of writeDocument({ format: 'json', compression: 'none', ...settings }, contents)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const textOf = async (format: DocumentSettings['format'], contents: Contents): Promise<string> => (await bytesOf({ format }, contents)).toString();

t.test('the checksum is that of the canonical array of rows', async (t) => {
  const checksum = async (...rows: RowFields[]) => (await snapshotOf(rows.map((row) => [rowOf(row)]))).checksum;
  t.equal(await checksum(), '4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945');
  t.equal(await checksum(r1), '271c95b256b7debeaac4895c602233298a88d165935b3e549d84c2d32c78b16d');
  t.equal(await checksum(r2, r1), '1a1d9cf471b3c22e8112474f82dc5eb4a22cb310385ad9dafe8f6db480814d5e', 'in whatever order they come');
  t.equal((await snapshotOf([many])).checksum, createHash('sha256').update(`[${many.toSorted(compareRows).map(({ payload }) => payload).join(',')}]`).digest('hex'), 'also when they are many');
});

t.test('rows are in the order of their bytes, however many and in whatever order they come', async (t) => {
  const random = new Random(7);
  const names = ['a', 'a-b', 'ab', 'é', '\u{1f600}', '\ufffd'];
  const rows = Array.from({ length: 6_000 }, (_, index) => rowOf({ ...r1, targetName: `t${random.below(3)}`, namespace: `n${random.below(4)}`, name: names[random.below(names.length)]!, uid: `u${index}` }));
  const key = ({ targetNamespace, targetName, namespace, name, uid }: ExportRow) => Buffer.from([targetNamespace, targetName, namespace, name, uid].join('\0'));
  const slices = Array.from({ length: 7 }, (_, index) => rows.filter((_row, at) => at % 7 === index));
  const { rows: sorted } = await snapshotOf(slices);
  t.strictSame(sorted.map(({ uid }) => uid), rows.toSorted((a, b) => Buffer.compare(key(a), key(b))).map(({ uid }) => uid));
});

t.test('json is the envelope', async (t) => {
  const contents = await contentsOf([rowOf(r2), rowOf(r1)]);
  t.equal(
    await textOf('json', contents),
    `{"schemaVersion":"kollect.dev/v1alpha1","checksum":"1a1d9cf471b3c22e8112474f82dc5eb4a22cb310385ad9dafe8f6db480814d5e","generation":3,"itemCount":2,"exportedAt":"2026-01-15T12:00:00.250Z","cluster":"prod-west","items":[` +
      '{"targetNamespace":"team-a","targetName":"deployments","namespace":"team-a","name":"api","group":"apps","version":"v1","kind":"Deployment","uid":"3f0c8d2e-7a11-4c53-9d57-6f1f2f6f0a01","attributes":{"image":"registry.example/api:1.4.2","replicas":3}},' +
      '{"targetNamespace":"team-a","targetName":"settings","namespace":"team-a","name":"flags","version":"v1","kind":"ConfigMap","uid":"8b7e1a90-52cd-4a0e-8a53-0d9a4c1f7b02","attributes":{"data":{"a":"x","b":"\\u003con\\u003e\\u0026"},"note":null}}]}',
  );
  const empty = await contentsOf([], { identity: { ...identity, cluster: '', generation: 0 } });
  t.equal(await textOf('json', empty), `{"schemaVersion":"kollect.dev/v1alpha1","checksum":"${empty.checksum}","itemCount":0,"exportedAt":"2026-01-15T12:00:00.250Z","items":[]}`);
  const part = { ...contents, part: { index: 2, total: 3 }, identity: { ...identity, cluster: 'a<b' } };
  t.match(await textOf('json', part), '"generation":3,"partIndex":2,"partTotal":3,"itemCount":2,"exportedAt":"2026-01-15T12:00:00.250Z","cluster":"a\\u003cb","items":[{');
  const parsed = JSON.parse(await textOf('json', await contentsOf(many))) as { items: unknown[] };
  t.strictSame(parsed.items, many.toSorted(compareRows).map(({ payload }) => JSON.parse(payload) as unknown));
});

t.test('ndjson is one row a line', async (t) => {
  t.equal(await textOf('ndjson', await contentsOf([rowOf(r2), rowOf(r1)])), `${canonicalRow(r1)}\n${canonicalRow(r2)}\n`);
  t.equal(await textOf('ndjson', await contentsOf([])), '');
});

t.test('yaml is a list of rows with their keys in order', async (t) => {
  const first = `- attributes:
    image: registry.example/api:1.4.2
    replicas: 3
  group: apps
  kind: Deployment
  name: api
  namespace: team-a
  targetName: deployments
  targetNamespace: team-a
  uid: 3f0c8d2e-7a11-4c53-9d57-6f1f2f6f0a01
  version: v1
`;
  const second = `- attributes:
    data:
      a: x
      b: "<on>&"
    note: null
  kind: ConfigMap
  name: flags
  namespace: team-a
  targetName: settings
  targetNamespace: team-a
  uid: 8b7e1a90-52cd-4a0e-8a53-0d9a4c1f7b02
  version: v1
`;
  t.equal(await textOf('yaml', await contentsOf([rowOf(r2), rowOf(r1)])), first + second);
  t.equal(await textOf('yaml', await contentsOf([])), '[]\n');
  t.equal(yamlRow(canonicalRow(r1)), first.replaceAll(/^(?:- | {2})/gm, ''));
  t.equal(yamlRow(canonicalRow({ ...r2, attributes: null })).split('\n')[0], 'attributes: null');
});

t.test('yaml of nested values reads as people write it', (t) => {
  const value = { list: [1, [], {}, [2, ['x']], { a: 1, b: [true], c: { d: null } }], none: {}, script: '#!/bin/sh\n\nset -e\n', twice: 'a\nb', kept: 'a\n\n' };
  t.equal(
    yamlValue(canonicalJson(value)),
    `kept: |+
  a

list:
- 1
- []
- {}
- - 2
  - - x
- a: 1
  b:
  - true
  c:
    d: null
none: {}
script: |
  #!/bin/sh

  set -e
twice: |-
  a
  b
`,
  );
  t.equal(yamlValue('{"10":1,"9":12345678901234567890}'), '"10": 1\n"9": 12345678901234567890\n', 'keys keep their order and integers their digits');
  t.end();
});

t.test('what yaml and indented json say is what was collected', (t) => {
  // Strings that a parser may take for something else, and pieces that make such strings.
  const pieces = fc.constantFrom('no', 'Null', 'y', '~', 'E0', 'e', '+1', '_', '0x1F', '1_000', '12:30:45', '2026-01-15', '1e5', '.5', '-', '- ', ': ', ' #', '#', '"', "'", '\\', '\n', '\n\n', '  ', '\t', '\r', '\0', '\u0085', '\u2028', '\ufeff', '\u{1f600}', '|', '>', '%', '@', '`', '&a', '*a', '!t', '{', '[', ',', '?', '=', '<<', '---', '...', 'é', '中');
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.oneof(pieces, fc.string({ maxLength: 3 })), { maxLength: 6 }).map((parts) => parts.join('')));
  const json = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(text, fc.constant('k'.repeat(1_100))), tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;
  for (const version of ['1.1', '1.2'] as const) {
    fc.assert(
      fc.property(json, (value) => {
        const canonical = canonicalJson(value);
        const expected = JSON.parse(canonical) as unknown;
        const read: unknown = parse(yamlValue(canonical), { version, merge: false, maxAliasCount: 0 });
        return canonicalJson(read as Json) === canonicalJson(expected as Json);
      }),
      { numRuns: 400, seed },
    );
  }
  fc.assert(
    fc.property(json, (value) => {
      const canonical = canonicalJson(value);
      return canonicalJson(JSON.parse(indentedJson(canonical)) as Json) === canonical;
    }),
    { numRuns: 300, seed },
  );
  t.equal(indentedJson('{"a":[1,{"b":"\\u003c\\"]"}],"c":{},"d":[]}'), '{\n  "a": [\n    1,\n    {\n      "b": "\\u003c\\"]"\n    }\n  ],\n  "c": {},\n  "d": []\n}\n');
  t.end();
});

t.test('csv has a line of names and one line a row', async (t) => {
  const quoting = { ...r2, name: 'fl"ags', attributes: { image: 'a,b', Version: 'x', version: '' } };
  t.equal(
    await textOf('csv', await contentsOf([rowOf(quoting), rowOf(r1)])),
    'api_version,attr_image,attr_version,attributes,cluster,exported_at,group,inventory_name,inventory_namespace,kind,name,namespace,target_name,target_namespace,uid\r\n' +
      'v1,registry.example/api:1.4.2,,"{""image"":""registry.example/api:1.4.2"",""replicas"":3}",prod-west,2026-01-15T12:00:00.250Z,apps,api,team-a,Deployment,api,team-a,deployments,team-a,3f0c8d2e-7a11-4c53-9d57-6f1f2f6f0a01\r\n' +
      'v1,"a,b",,"{""Version"":""x"",""image"":""a,b"",""version"":""""}",prod-west,2026-01-15T12:00:00.250Z,,api,team-a,ConfigMap,"fl""ags",team-a,settings,team-a,8b7e1a90-52cd-4a0e-8a53-0d9a4c1f7b02\r\n',
  );
  t.match(await textOf('csv', await contentsOf([], { identity: { ...identity, cluster: '' } })), /^api_version,[^\n]*,uid\r\n$/);
});

t.test('parquet has typed columns, and the attributes that are named as columns of their own', async (t) => {
  const attributes = { image: 'x', 'App.Kubernetes-io': 12345678901234567890n, ready: true, labels: { b: 1, a: 2 } };
  const contents = await contentsOf([...many, rowOf(r2), rowOf({ ...r1, targetName: 'a', attributes })], { identity: { ...identity, cluster: '' } });
  for (const compression of ['none', 'snappy', 'gzip', 'zstd'] as const) {
    const bytes = await bytesOf({ format: 'parquet', compression, hotAttributes: ['ready', 'App.Kubernetes-io', 'labels', 'image', ' image ', 'IMAGE', '%'] }, contents);
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
    const { schema, row_groups: groups } = parquetMetadata(file);
    t.strictSame(
      schema.slice(1).map(({ name, repetition_type, type, converted_type }) => [name, repetition_type, converted_type ?? type].join(' ')),
      [
        'api_version REQUIRED UTF8',
        'attr_ OPTIONAL UTF8',
        'attr_app_kubernetes_io OPTIONAL UTF8',
        'attr_image OPTIONAL UTF8',
        'attr_labels OPTIONAL UTF8',
        'attr_ready OPTIONAL UTF8',
        'attributes REQUIRED BYTE_ARRAY',
        'cluster REQUIRED UTF8',
        'exported_at REQUIRED TIMESTAMP_MICROS',
        'group OPTIONAL UTF8',
        'inventory_name REQUIRED UTF8',
        'inventory_namespace REQUIRED UTF8',
        'kind REQUIRED UTF8',
        'name REQUIRED UTF8',
        'namespace REQUIRED UTF8',
        'target_name REQUIRED UTF8',
        'target_namespace REQUIRED UTF8',
        'uid REQUIRED UTF8',
      ].map((line) => line.replace('attr_ ', 'attr_unknown ')).sort(),
    );
    t.ok(groups.length > 2, 'in several groups');
    const compressors = { GZIP: (input: Uint8Array) => gunzipSync(input), ZSTD: (input: Uint8Array) => zstdDecompressSync(input) };
    const read = await parquetReadObjects({ file, utf8: false, compressors });
    t.equal(read.length, 5_002);
    const text = (cell: unknown) => Buffer.from(cell as Uint8Array).toString();
    t.match(read[0], { target_name: 'a', attr_app_kubernetes_io: '12345678901234567890', attr_ready: 'true', attr_labels: '{"a":2,"b":1}', attr_image: 'x', attr_unknown: null, cluster: 'default', exported_at: exportedAt, group: 'apps' });
    t.equal(text(read[0]!.attributes), canonicalJson(attributes));
    t.match(read.at(-1), { kind: 'ConfigMap', group: null, attr_image: null });
    t.strictSame(read.slice(1, -1).map(({ uid }) => uid as string), contents.rows.slice(1, -1).map(({ uid }) => uid));
  }
  const empty = await bytesOf({ format: 'parquet' }, await contentsOf([]));
  t.strictSame(await parquetReadObjects({ file: empty.buffer.slice(empty.byteOffset, empty.byteOffset + empty.length) as ArrayBuffer }), []);
});

t.test('a compressed document is the document, and says so', async (t) => {
  const contents = await contentsOf(many);
  const plain = await bytesOf({ format: 'csv' }, contents);
  t.ok(gunzipSync(await bytesOf({ format: 'csv', compression: 'gzip' }, contents)).equals(plain));
  const compressed = await bytesOf({ format: 'csv', compression: 'zstd' }, contents);
  t.ok(zstdDecompressSync(compressed).equals(plain));
  t.ok(compressed.equals(await bytesOf({ format: 'csv', compression: 'zstd' }, contents)), 'the same each time');
  t.strictSame(documentType({ format: 'csv', compression: 'zstd' }), { contentType: 'text/csv; charset=utf-8', contentEncoding: 'zstd' });
  t.strictSame(documentType({ format: 'json', compression: 'gzip' }), { contentType: 'application/json', contentEncoding: 'gzip' });
  t.strictSame(documentType({ format: 'parquet', compression: 'gzip' }), { contentType: 'application/vnd.apache.parquet', contentEncoding: undefined });
});

t.test('an error while a document is written reaches its reader, compressed or not', async (t) => {
  const broken = { ...rowOf(r1), get payload(): string { throw new Error('no row'); } };
  const contents = { ...(await contentsOf([])), rows: [broken] };
  for (const compression of ['none', 'gzip', 'zstd'] as const) await t.rejects(bytesOf({ format: 'json', compression }, contents), /no row/);
  // Nobody reads to the end.
  for await (const piece of writeDocument({ format: 'json', compression: 'gzip' }, await contentsOf(many))) {
    t.ok(piece.length > 0);
    break;
  }
});

t.test('the page about formats says what is written', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/formats.md'), 'utf8');
  const blocks = Array.from(page.matchAll(/```json\n([^]*?)```/g), ([, text = '']) => text);
  const contents = await contentsOf([rowOf(r1), rowOf(r2)]);
  const files = new InventoryFiles({ type: 'git', layout: { mode: 'perResource' } }, undefined);
  const [api, web] = [rowOf(r1), rowOf({ ...r1, name: 'web', uid: 'web' })];
  const change = { identity: { ...identity, generation: 7 }, upserts: [[web, api]], upsertCount: 2, deletes: [], completeTargets: ['deployments'], keep: [] };
  const store: FileStore = { read: async () => undefined, readAll: async function* () {}, list: async () => [] };
  const manifest = await files.write({ change, store, heldRows: undefined, exportedAt: new Date('2026-01-15T12:00:00Z') }, async (plan) => {
    let text = '';
    for await (const piece of plan.manifest!.bytes) text += Buffer.from(piece).toString();
    return text;
  });
  const { messages } = await eventMessages({ identity, timestamp: new Date('2026-01-15T12:00:00.310Z'), rows: [] });
  const [message] = await messages[Symbol.asyncIterator]().next().then(({ value }) => [value as EventMessage]);
  t.strictSame(blocks, [
    `${canonicalRow(r1)}\n`,
    `${(await textOf('json', contents)).replace(/"items":.*/, '"items":[]}')}\n`,
    manifest,
    `${Buffer.from(message!.body).toString()}\n`,
  ]);
  t.match(page, message!.id);
  t.match(page, (await contentsOf([])).checksum);
  const { columns } = tableOf(contents, []);
  for (const { name } of columns) t.match(page, `\`${name}\``);
});
