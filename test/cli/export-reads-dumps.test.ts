import { Readable } from 'node:stream';
import { readdirSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import { readBlockYaml } from '../../shared/dump/block-yaml.ts';
import { Dump } from '../../shared/dump/dump.ts';
import type { DumpItem, ItemFinder, ItemHandlers } from '../../shared/dump/item.ts';
import { JsonItems } from '../../shared/dump/json-items.ts';
import { readObjects } from '../../shared/dump/read-object.ts';
import { YamlItems } from '../../shared/dump/yaml-items.ts';
import { lint } from '../../shared/lint/lint.ts';
import { readYaml } from '../../shared/lint/yaml.ts';
import { cluster, deployment, list, namespace, printed } from './export-objects.ts';

// Dumps of any size and form: where their objects stand, and what they say.

const slow = (text: string): unknown => readYaml(text).documents[0]?.root?.value;

/** The texts of the items of a text that comes in pieces. */
function itemsOf(make: (handlers: ItemHandlers) => ItemFinder, text: string, pieceBytes: number): string[] {
  const bytes = Buffer.from(text);
  const found: string[] = [];
  const finder = make({
    item: ({ start, end, line, column }: DumpItem, given) => {
      found.push(given.toString());
      if (given.toString() !== bytes.toString('utf8', start, end)) found.push('another place');
      const before = bytes.toString('utf8', 0, start);
      if (before.split('\n').length - 1 !== line || start - Buffer.byteLength(before.slice(0, before.lastIndexOf('\n') + 1)) !== column) found.push(`not in line ${line}, column ${column}`);
    },
    listed: () => undefined,
  });
  for (let at = 0; at < bytes.length; at += pieceBytes) finder.push(bytes.subarray(at, at + pieceBytes));
  finder.end();
  return found;
}

t.test('objects are found wherever a text is cut', (t) => {
  const tricky = { ...deployment('ü\u2028', 'shop'), data: { items: [{ a: '}]"\\' }], text: 'items:\n- no item\n---\nnone\n' } };
  const json = `${JSON.stringify(list([tricky, ...cluster]), null, 2)}\n${JSON.stringify(tricky)}${JSON.stringify({ items: [], kind: 'List' })}`;
  const yaml = `# a comment\n---\n${stringify(tricky)}---\n${stringify(list([tricky, ...cluster]))}---\n\n---\n${stringify(list(cluster), { indentSeq: false })}...\n`;
  for (const [make, text, objects] of [
    [(handlers: ItemHandlers) => new JsonItems(handlers), json, [tricky, ...cluster, tricky]],
    [(handlers: ItemHandlers) => new YamlItems(handlers), yaml, [tricky, tricky, ...cluster, ...cluster]],
  ] as const) {
    for (const pieceBytes of [1, 2, 3, 7, 64, 1_000, 1_000_000]) {
      const items = itemsOf(make, text, pieceBytes).map((item) => item.replace(/^( *)-(?=\s)/, '$1 '));
      t.strictSame(items.map((item) => slow(item)), objects, `in pieces of ${pieceBytes} bytes`);
    }
  }
  t.end();
});

t.test('blocks are read as by a reader of all of YAML, or not at all', (t) => {
  const word = fc.oneof(
    fc.constantFrom('--listen=:80', '-v', '--', '-.inf', 'yes', 'no', 'on', 'null', '~', 'true', '010', '0x1f', '1e3', '1.5', '.5', '12:30:45', '1_000', '3f0c8d2e-7a11', '100m', '25%', '10.0.0.1', '2026-01-15', '2026-01-15T12:00:00Z', '', ' a', 'a ', 'a: b', 'a #b', '#a', '- a', '---', '&a', '*a', '!a', '|', '>', "it's", '"a"', '{a}', '[a]', 'a\nb', 'a\n\n b\n', '\n', 'é\u2028', '<<', '=', '@a', '%a', 'f:metadata', 'a:b', '1234567890123456789', '__proto__'),
    fc.string({ maxLength: 12 }),
    fc.lorem({ maxCount: 30 }),
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof({ depthSize: 'small' }, word, fc.boolean(), fc.constant(null), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.array(tie('any'), { maxLength: 4 }), fc.dictionary(word, tie('any'), { maxKeys: 4 })),
  })).any;
  fc.assert(
    fc.property(fc.dictionary(word, value, { minKeys: 1, maxKeys: 5 }), fc.boolean(), fc.constantFrom('BLOCK_LITERAL', 'PLAIN', 'QUOTE_DOUBLE'), (object, indentSeq, defaultStringType) => {
      const text = stringify(object, { indentSeq, defaultStringType, version: '1.1', lineWidth: 80 });
      const read = readBlockYaml(text);
      const expected = slow(text);
      return read === undefined || JSON.stringify(read) === JSON.stringify(expected);
    }),
    { numRuns: 500 },
  );
  const scalars = fc.constantFrom('a', '- a', '- --a=b', '- -', '- - a', '-a', '--- a', 'a: 1', '|', '|-', '>', '"x"', "'x'", 'yes', '1', '-1', '010', '1e3', '# c', '', '{}', '[]', '{a: 1}', '[1]', '&a x', '*a', '? a', 'a:', '-', '  x', ': x', 'b: |', 'c: "x', '\tx', 'a: b # c');
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('', '  ', '    '), scalars), { minLength: 1, maxLength: 6 }), (lines) => {
      const text = `${lines.map(([indent, scalar]) => indent + scalar).join('\n')}\n`;
      const read = readBlockYaml(text);
      const { documents } = readYaml(text);
      return read === undefined || (documents.length === 1 && documents[0]!.problems.length === 0 && JSON.stringify(read) === JSON.stringify(documents[0]!.root?.value));
    }),
    { numRuns: 4_000 },
  );
  const usual = stringify(deployment('api', 'shop'), { indentSeq: false });
  t.strictSame(readBlockYaml(usual), deployment('api', 'shop'), 'what kubectl writes is such a form');
  t.end();
});

t.test('a character that ends a line for some readers of YAML only is not guessed at', (t) => {
  for (const odd of ['\u0085', '\u2028', '\u2029']) {
    const of = (text: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { text } });
    const head = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  text: ';
    for (const [text, scalar] of [[`a${odd}b`, `'a${odd}    b'`], [`a\nb${odd}c\n`, `|\n    a\n    b${odd}    c`], [`a${odd}\nb\n`, `|\n    a${odd}\n    b`]] as const) {
      t.throws(() => readObjects(`${head}${scalar}\n`, 'yaml', 'dump.yaml:1'), { code: 'KOL_EXPORT_INPUT', message: /^dump\.yaml:1: holds one of the characters U\+0085.*dump it as JSON/ });
      t.match(readObjects(JSON.stringify(of(text)), 'json', 'dump.json:1'), [of(text)]);
    }
    for (const text of [`a${odd}b`, `a${odd}${odd}b: c${odd}`, `a\nb${odd}c\n`]) {
      for (const form of ['PLAIN', 'QUOTE_SINGLE', 'QUOTE_DOUBLE'] as const) t.strictSame(readObjects(stringify(of(text), { defaultStringType: form }), 'yaml', 'dump.yaml:1'), [of(text)], form);
    }
  }
  t.end();
});

t.test('what a list says of its items counts for them', async (t) => {
  const folder = t.testdir();
  const bare = ({ metadata, spec }: ReturnType<typeof deployment>) => ({ metadata: { ...metadata, managedFields: [{}] }, spec });
  const items = [bare(deployment('a', 'shop')), bare(deployment('b', 'shop'))];
  const raw = JSON.stringify({ kind: 'DeploymentList', apiVersion: 'apps/v1', metadata: {}, items });
  const behind = JSON.stringify({ items, kind: 'DeploymentList', apiVersion: 'apps/v1' });
  const nested = stringify(list([list([namespace('x', 'y')]), deployment('c', 'shop')]));
  const files = [raw, behind, nested].map((text, index) => {
    const name = join(folder, `${index}`);
    writeFileSync(name, text);
    return { name, isNamed: true, isStandardInput: false };
  });
  using dump = await Dump.open(files, Readable.from([]));
  t.strictSame(dump.sources, []);
  const names: string[] = [];
  for await (const objects of dump.objects((key) => key === 'apps/v1/deployment')) for (const { apiVersion, kind, metadata } of objects) names.push(`${apiVersion} ${kind} ${metadata.name} ${'managedFields' in metadata}`);
  t.strictSame(names, ['a', 'b', 'a', 'b', 'c'].map((name) => `apps/v1 Deployment ${name} false`));
  t.strictSame(dump.kinds.get('/v1/namespace'), { namespaced: false });
});

t.test('an object in a large file is judged with its place', async (t) => {
  const folder = t.testdir({ 'dump.json': printed([...cluster, { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectTarget', metadata: { name: 'a' }, spec: { profilRef: 'x' } }]) });
  using dump = await Dump.open([{ name: join(folder, 'dump.json'), isNamed: true, isStandardInput: false }], Readable.from([]));
  const [source] = dump.sources;
  const lines = printed([...cluster, {}]).split('\n');
  t.equal(source?.linesBefore, lines.indexOf('        {}'));
  t.equal(/^ */.exec(source?.text ?? '')?.[0].length, 8);
});

t.test('what is not a whole cluster is not taken for one', async (t) => {
  const folder = t.testdir();
  const json = printed(cluster);
  const yaml = stringify({ apiVersion: 'v1', items: cluster, kind: 'List', metadata: { resourceVersion: '' } });
  const bare = cluster.map((object) => ({ metadata: (object as { metadata: object }).metadata }));
  const raw = JSON.stringify({ apiVersion: 'apps/v1', items: bare, kind: 'DeploymentList', metadata: {} });
  const page = { ...list(cluster), metadata: { continue: 'eyJ2Ij', remainingItemCount: 7 } };
  const problemsOf = async (text: string, isNamed: boolean): Promise<string> => {
    const name = join(folder, 'dump.yaml');
    writeFileSync(name, text);
    using dump = await Dump.open([{ name, isNamed, isStandardInput: false }], Readable.from([]));
    const { findings } = lint(dump.sources, { installation: { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: false }, namespace: 'default' });
    return findings.filter(({ severity }) => severity === 'error').map(({ problem }) => problem).join('\n');
  };
  for (const isNamed of [true, false]) {
    for (const whole of [json, yaml, raw, `${yaml}---\n${yaml}`, `${json}${json}`]) t.equal(await problemsOf(whole, isNamed), '', whole.slice(0, 100));
    const cuts = [json.lastIndexOf('        {\n            "apiVersion"'), json.lastIndexOf('"List"'), json.length - 3];
    for (const at of cuts) t.match(await problemsOf(json.slice(0, at), isNamed), /is not complete/, json.slice(at - 60, at));
    t.match(await problemsOf(raw.slice(0, raw.lastIndexOf('{"metadata"')), isNamed), /is not complete/);
    t.match(await problemsOf(`${json}}`, isNamed), /is not complete/);
    for (const at of [yaml.indexOf('items:\n') + 7, yaml.lastIndexOf('  - apiVersion'), yaml.indexOf('kind: List')]) t.match(await problemsOf(yaml.slice(0, at), isNamed), /is not complete/, yaml.slice(Math.max(0, at - 60), at));
    t.match(await problemsOf(`${yaml.slice(0, yaml.lastIndexOf('  - apiVersion'))}---\n${yaml}`, isNamed), /is not complete/);
    for (const part of [JSON.stringify(page), stringify(page), stringify({ items: [page, ...cluster], kind: 'List' }), JSON.stringify({ ...page, items: bare, kind: 'DeploymentList' })]) t.match(await problemsOf(part, isNamed), /one page of a list/);
    t.match(await problemsOf(JSON.stringify(cluster), isNamed), /object/);
    t.match(await problemsOf(JSON.stringify({ items: bare }), isNamed), /object|kind/);
    t.match(await problemsOf('kind: Deployment\n"', isNamed), /./);
  }
  t.equal(await problemsOf('items: [a]\nreplicas: 1\n', false), '', 'a folder may hold other things');
  t.equal(await problemsOf('items:\n  - a\n', false), '');
});

t.test('of the many files of a folder one is open', async (t) => {
  const folder = t.testdir(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`${index}.json`, JSON.stringify(deployment(`web-${index}`, 'shop'))])));
  const files = Array.from({ length: 100 }, (_, index) => ({ name: join(folder, `${index}.json`), isNamed: false, isStandardInput: false }));
  using dump = await Dump.open(files, Readable.from([]));
  const ours = (): number => readdirSync('/proc/self/fd').map((name) => { try { return readlinkSync(`/proc/self/fd/${name}`); } catch { return ''; } }).filter((name) => name.startsWith(folder)).length;
  let read = 0;
  for await (const objects of dump.objects(() => true)) read += objects.length;
  t.equal(read, 100);
  t.equal(ours(), 1);
  unlinkSync(files[7]!.name);
  await t.rejects(async () => { for await (const objects of dump.objects(() => true)) read += objects.length; }, { code: 'KOL_EXPORT_INPUT', message: /7\.json cannot be read again/ });
});
