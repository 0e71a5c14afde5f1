import fc from 'fast-check';
import t from 'tap';
import { rememberingJudge } from '../../shared/admission/expressions.ts';
import { renderFinding } from '../../shared/admission/finding.ts';
import { judgeObject } from '../../shared/admission/judge-object.ts';
import type { KnownObject, KnownSink, Lookups } from '../../shared/admission/lookups.ts';
import { validate } from '../../shared/admission/validate.ts';
import { kinds } from '../../shared/api/kinds.ts';
import { KnownObjects } from '../../shared/admission/state/known-objects.ts';
import { objectLookups } from '../../shared/admission/state/object-lookups.ts';
import { pathKeys, writtenPaths } from '../../shared/admission/state/written-paths.ts';
import { compilePath } from '../../shared/extract/compile-path.ts';
import { cpuMs, parsingCpuMs } from '../extract/cpu-time.ts';
import { eventually } from '../servers/eventually.ts';
import { pathOf, reviewOf, testServer, timedReview } from '../webhook/harness.ts';
import { objectOf, postgresSpec, profileSpec, secretGvk } from './objects.ts';
import { allVectors } from './vectors/all.ts';

// One call is one step of the process, and the event loop stands still for as long: at most 100 ms of CPU on an idle machine, which is four times what parsing four
// megabytes takes there.
const parsingMs = parsingCpuMs();
const maxCpuMs = 4 * parsingMs;

const times = <T>(length: number, item: (index: number) => T): T[] => Array.from({ length }, (_, index) => item(index));
const nested = (depth: number, open: string, close: string, middle = ''): unknown => JSON.parse(`${open.repeat(depth)}${middle}${close.repeat(depth)}`);
const filled = (part: string, length: number) => part.repeat(Math.ceil(length / part.length)).slice(0, length);
const gvk = { group: 'apps', version: 'v1', kind: 'Deployment' };
const attributes = (count: number, path: (index: number) => string) => profileSpec([], { attributes: times(count, (index) => ({ name: `a${index}`, path: path(index) })) });
const policies = (count: number, matchPolicy: (index: number) => string) => ({ profileRef: 'p', resourceRules: times(count, (index) => ({ gvk, matchPolicy: matchPolicy(index) })) });
/** As much CEL as one object may have, from pieces that are slow to compile, each expression as long as it may be. */
const slowest = (piece: string, glue: string, pieces = Math.floor(4080 / (piece.length + glue.length))) => {
  const expression = times(pieces, () => piece).join(glue);
  return attributes(Math.max(1, Math.floor(16_384 / (expression.length + 20))), (index) => `cel:${expression}${' '.repeat(index % 10)}`);
};

/** Objects as large as the API server lets through, 3 MiB, each to exhaust another part. */
const bombs: readonly [what: string, kind: string, spec: unknown][] = [
  ['20,000 attributes', 'KollectProfile', attributes(20_000, (index) => `$.a${index}`)],
  ['6,000 attributes', 'KollectProfile', attributes(6000, (index) => `$.a${index}`)],
  ['800 attributes', 'KollectProfile', attributes(800, (index) => `$.spec.a${index}[*].b`)],
  ['600 expressions', 'KollectProfile', attributes(600, (index) => `cel:object.spec.a${index}`)],
  ['1,000 attributes that are no objects', 'KollectProfile', { targetGVK: gvk, attributes: times(1000, () => 7) }],
  ['19,000 attributes that are no objects', 'KollectProfile', { targetGVK: gvk, attributes: times(19_000, () => 7) }],
  ['1,000 attributes of one name', 'KollectProfile', { targetGVK: gvk, attributes: times(1000, () => ({ name: 'a', path: '' })) }],
  ['700 misspelt fields', 'KollectProfile', attributes(700, (index) => `$.metadata.lables${index}`)],
  ['expressions of additions', 'KollectProfile', slowest('object.a', '+')],
  ['expressions of few additions', 'KollectProfile', slowest('object.a', '+', 50)],
  ['expressions of calls', 'KollectProfile', slowest('"".matches("[^x]")', '||', 80)],
  ['expressions of regular expressions that unfold', 'KollectProfile', slowest('"".matches("[^x]{400}[^x]{400}")', '||', 5)],
  ['expressions of regular expressions that unfold too far', 'KollectProfile', slowest('"".matches("[^x]{400}[^x]{400}")', '||')],
  ['expressions of regular expressions that unfold without counts', 'KollectProfile', slowest(`"".matches("${'[^a-c]?'.repeat(30)}")`, '||')],
  ['expressions of regular expressions without case', 'KollectProfile', slowest(`"".matches("${'(?i)[a-zA-Z0-9_]?'.repeat(14)}")`, '||')],
  ['expressions of many regular expressions', 'KollectProfile', attributes(1000, (index) => `cel:"".matches("[^x]{999}${index}")`)],
  ['expressions of ternaries', 'KollectProfile', slowest('(true?1:2)', '+', 50)],
  ['expressions of loops', 'KollectProfile', slowest('[1].all(x,[1].all(y,[1].all(z,x+y+z>0)))', '&&', 30)],
  ['expressions of lists', 'KollectProfile', slowest('[[],[],[],[]]', '+', 50)],
  ['expressions of brackets', 'KollectProfile', attributes(4, (index) => `cel:${'('.repeat(2000)}${index}${')'.repeat(2000)}`)],
  ['expressions of open brackets', 'KollectProfile', attributes(4, (index) => `cel:${index}${'['.repeat(4000)}`)],
  ['filters of brackets', 'KollectProfile', attributes(4, (index) => `$.a${index}[?${'('.repeat(2000)}@.a${')'.repeat(2000)}]`)],
  ['filters of negations', 'KollectProfile', attributes(4, (index) => `$.a${index}[?${'!'.repeat(4000)}@.a]`)],
  ['filters in every selector', 'KollectProfile', attributes(5, (index) => `$.a${index}${'[?@,?@,?@,?@,?@,?@,?@,?@,?@,?@,?@,?@,?@,?@,?@,?@]'.repeat(60)}`)],
  ['paths of quotes', 'KollectProfile', attributes(4, (index) => `$.a${index}[?${"'\\".repeat(2000)}`)],
  ['paths of braces', 'KollectProfile', attributes(4, (index) => `${index}${'{'.repeat(4000)}`)],
  ['a path of 500,000 characters', 'KollectProfile', profileSpec([`$${'.a'.repeat(250_000)}`])],
  ['paths to prune', 'KollectProfile', profileSpec([], { export: { mode: 'Resource', prune: { jsonPaths: times(1000, (index) => `$.a${index}[?@.b]`), jsonPointers: times(1000, () => '/a'.repeat(200)), scrubKeys: times(1000, (index) => `k${index}`) } } })],
  ['conditions for pruning', 'KollectProfile', profileSpec([], { export: { mode: 'Resource', prune: { cel: times(1000, (index) => `key == "${index}"`) } } })],
  ['pointers of tildes', 'KollectProfile', profileSpec([], { export: { mode: 'Resource', prune: { jsonPointers: times(100, () => `${'/~0'.repeat(1300)}~`) } } })],
  ['100 metrics of 1,000 attributes', 'KollectProfile', { ...attributes(1000, () => '$.spec.a'), metrics: times(100, (index) => ({ name: `m${index}`, path: `b${index}`, labels: times(100, (label) => `l${label}`) })) }],
  ['100 metrics of 50 attributes with long names', 'KollectProfile', { targetGVK: gvk, attributes: times(50, (index) => ({ name: `${'a'.repeat(60)}${String(index).padStart(4, 'b')}`, path: '$.spec.a' })), metrics: times(100, (index) => ({ name: `m${index}`, path: `${'a'.repeat(60)}cccc`, labels: times(5, (label) => `${'a'.repeat(59)}${label}cccc`) })) }],
  ['6,000 metrics', 'KollectProfile', profileSpec(['$.spec.a'], { metrics: times(6000, (index) => ({ name: `m${index}`, path: 'a1' })) })],

  ['100 policies', 'KollectTarget', policies(100, (index) => `object.spec.a == ${index} && object.metadata.name.matches("[a-z]{200}")`)],
  ['4,000 policies', 'KollectTarget', policies(4000, (index) => `object.spec.a == ${index}`)],
  ['100 long policies', 'KollectTarget', policies(100, (index) => `${index} == 0${' || true'.repeat(500)}`)],
  ['1,000 namespaces in and out', 'KollectTarget', { profileRef: 'p', includedNamespaces: times(1000, (index) => `n${index}`), excludedNamespaces: times(1000, (index) => `n${index}`), names: times(1000, () => '*') }],
  ['10,000 labels', 'KollectTarget', { profileRef: 'p', labelSelector: { matchLabels: Object.fromEntries(times(10_000, (index) => [`a b${index}`, 'c d'])) } }],
  ['100 expressions of 100 values', 'KollectTarget', { profileRef: 'p', namespaceSelector: { matchExpressions: times(100, () => ({ key: '-', operator: 'In', values: times(100, () => '-') })) } }],
  ['a name of 500,000 characters', 'KollectTarget', { profileRef: filled('a.', 500_000) }],
  ['1,000 names of 250 characters', 'KollectTarget', { profileRef: 'p', includedNamespaces: times(1000, (index) => `${'-'.repeat(246)}${index}`) }],
  ['selectors 60 levels deep', 'KollectTarget', { profileRef: 'p', namespaceSelector: nested(60, '{"matchLabels":', '}', '1') }],

  ['60 levels of lists', 'KollectInventory', { databaseSinkRefs: nested(60, '[', ']') }],
  ['64 references with 200 fields each', 'KollectInventory', { databaseSinkRefs: times(64, () => Object.fromEntries(times(200, (index) => [`nam${index}`, 1]))) }],
  ['20 references with 900 fields each', 'KollectInventory', { databaseSinkRefs: times(20, (ref) => ({ name: `s${ref}`, ...Object.fromEntries(times(900, (index) => [`exportMinInterva${index}`, 1])) })) }],
  ['19,000 references', 'KollectInventory', { databaseSinkRefs: times(19_000, (index) => `s${index}`) }],
  ['a duration of 500,000 characters', 'KollectInventory', { exportMinInterval: filled('1h', 500_000) }],
  ['3 MiB of text', 'KollectInventory', { exportMinInterval: filled('1h', 3 * 1024 * 1024) }],
  ['100,000 values', 'KollectInventory', { x: times(100_000, () => 0) }],
  ['100,000 fields', 'KollectInventory', Object.fromEntries(times(100_000, (index) => [`f${index}`, 0]))],
  ['1,000 namespaces', 'KollectClusterInventory', { namespaces: times(1000, () => 'A'), targetRefs: times(1000, () => 'a/b') }],
  ['1,000 of everything', 'KollectClusterScope', Object.fromEntries([...['allowedNamespaces', 'deniedNamespaces', 'snapshotSinkRefs', 'databaseSinkRefs', 'eventSinkRefs', 'allowedStaticRefNamespaces'].map((list) => [list, times(1000, () => 'A_')]), ['allowedGVKs', times(1000, () => ({ group: '*', version: '*', kind: '*' }))]])],

  ['100 options', 'KollectDatabaseSink', postgresSpec({ options: Object.fromEntries(times(100, (index) => [`statement_timeou${index}`, filled('://a:', 4000)])) })],
  ['9,000 options', 'KollectDatabaseSink', postgresSpec({ options: Object.fromEntries(times(9000, (index) => [`statement_timeou${index}`, 'x'])) })],
  ['a template of 500,000 characters', 'KollectDatabaseSink', postgresSpec({ pathTemplate: filled('{a', 500_000) })],
  ['a template of 4,000 characters', 'KollectDatabaseSink', postgresSpec({ pathTemplate: filled('{a}', 4000) })],
  ['an endpoint of 4,000 characters', 'KollectSnapshotSink', { type: 'git', endpoint: filled('://a:', 4000) }],
  ['a bundle of 500,000 characters', 'KollectDatabaseSink', postgresSpec({ tls: { caBundle: Buffer.from(filled('-----BEGIN CERTIFICATE-----\nA\n', 350_000)).toString('base64') } })],
  ['4,000 brokers', 'KollectEventSink', { type: 'kafka', kafka: { brokers: times(4000, () => filled('a.', 100)), topic: filled('a.', 4000) } }],
];

/** Reviews whose bytes are hard to read, up to the size that is read at all, as text in the place of a spec. */
const hardToRead: readonly [what: string, spec: string][] = [
  ['a million objects', `{"targetGVK":{},"attributes":[${'{},'.repeat(1_000_000)}{}]}`],
  ['2,300,000 objects', `[${'{},'.repeat(2_300_000)}1]`],
  ['3,400,000 numbers', `[${'1,'.repeat(3_400_000)}1]`],
  ['1,700,000 texts', `[${'"",'.repeat(1_700_000)}""]`],
  ['260,000 keys', `{${times(260_000, (index) => `"k${index}":1`).join()}}`],
  ['400,000 keys', `{${times(400_000, (index) => `"k${index}":1`).join()}}`],
  ['49,000 long keys', `{${times(49_000, (index) => `"${'k'.repeat(120)}${index}":1`).join()}}`],
  ['20,000 levels of lists', `{"attributes":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  ['20,000 levels of objects', `${'{"attributes":'.repeat(20_000)}1${'}'.repeat(20_000)}`],
  ['3,400,000 brackets', `${'['.repeat(3_400_000)}${']'.repeat(3_400_000)}`],
  ['a million objects in objects', `${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)}`],
  ['seven million quotes', `{"suspend":false,"cluster":"${'\\"'.repeat(3_400_000)}"}`],
  ['seven million characters', `{"cluster":"${'a'.repeat(6_900_000)}"}`],
  ['keys of prototypes', `{${times(45_000, (index) => `"__proto__":{"k${index}":1}`).join()}}`],
];

const server = testServer();
t.teardown(() => server.app.close());

/** A whole review and what it takes of the processor, from its bytes to its answer. */
async function reviewing(phase: 'validate' | 'mutate', kind: string, payload: string): ReturnType<typeof timedReview> {
  let outcome = await timedReview(server, pathOf(phase, kind), payload);
  // Collecting the garbage of others is counted as well: what is slow is slow again, at a server that remembers nothing of it.
  for (let again = 0; again < 2 && outcome.cpuMs >= maxCpuMs; again++) {
    const fresh = testServer();
    outcome = await timedReview(fresh, pathOf(phase, kind), payload);
    await fresh.app.close();
  }
  return outcome;
}

t.test('no object keeps the process for long', async (t) => {
  t.comment(`at most ${Math.round(maxCpuMs)} ms where parsing takes ${Math.round(parsingMs)} ms`);
  for (const [what, kind, spec] of bombs) {
    const annotations = Object.fromEntries(times(1000, (index) => [`kollect.dev/pause-delete${index}`, 'yes']));
    const payload = JSON.stringify(reviewOf(objectOf(kind, spec, { annotations })));
    for (const phase of ['validate', 'mutate'] as const) {
      const { code, cpuMs: spent } = await reviewing(phase, kind, payload);
      t.equal(code, 200, what);
      t.ok(spent < maxCpuMs, `${what}, ${phase}: ${Math.round(spent)} ms`);
    }
  }
});

t.test('no text of an object does, however hard it is to read', async (t) => {
  const mark = 'the spec goes here';
  const review = (more: Record<string, unknown>) => JSON.stringify(reviewOf(objectOf('KollectProfile', mark), more));
  let worst = 0;
  for (const [what, spec] of hardToRead) {
    const bodies: readonly (readonly [how: string, body: string])[] = [
      ['new', review({}).replace(`"${mark}"`, () => spec)],
      ['stored', review({ operation: 'UPDATE', object: objectOf('KollectProfile', profileSpec(['$.metadata.name'])), oldObject: objectOf('KollectProfile', mark) }).replace(`"${mark}"`, () => spec)],
      ['gone', review({ operation: 'DELETE', object: null, oldObject: objectOf('KollectProfile', mark) }).replace(`"${mark}"`, () => spec)],
      ['cut off', review({}).replace(`"${mark}"`, () => spec).slice(0, -3)],
    ];
    for (const [how, body] of bodies) {
      const { code, text, cpuMs: spent } = await reviewing('validate', 'KollectProfile', body);
      worst = Math.max(worst, spent);
      t.ok(spent < maxCpuMs, `${what}, ${how}: ${Math.round(spent)} ms`);
      t.equal(code, how === 'cut off' ? 400 : 200, `${what}, ${how}`);
      // What is stored must not hold on to what replaces it, nor to its end.
      if (code === 200) t.match(JSON.parse(text), { response: { uid: '705ab4f5-6393-11e8-b7cc-42010a800002', allowed: how !== 'new' } }, `${what}, ${how}`);
    }
  }
  t.comment(`the slowest took ${Math.round(worst)} ms`);
});

t.test('every bomb is called by its name', async (t) => {
  for (const what of ['20,000 attributes', '6,000 attributes', 'expressions of brackets', 'a path of 500,000 characters', '100,000 fields', '3 MiB of text', '100 long policies', '19,000 references']) {
    const bomb = bombs.find(([name]) => name === what);
    const findings = bomb === undefined ? [] : validate(bomb[1], objectOf(bomb[1], bomb[2]));
    t.ok(findings.some(({ severity }) => severity === 'error'), what);
    t.ok(findings.every((finding) => renderFinding(finding).length < 1000), `${what}: in few words`);
  }
});

/** Names that differ late, so that it takes long to see that one is no misspelling of the other. */
const lateName = (index: number) => `${'a'.repeat(56)}${String(index).padStart(4, '0')}`;
const misspelt = (index: number) => `${'a'.repeat(52)}bcde${String(index).padStart(4, '0')}`;
const namespaces = times(1000, (index) => `n${index}`);
const others = times(1000, (index) => `m${index}`);
const wideFilter = { includedNamespaces: namespaces, resourceRules: times(100, () => ({ gvk })) };
const narrowScope = { allowedNamespaces: others, deniedNamespaces: namespaces, allowedGVKs: times(1000, (index) => ({ ...gvk, kind: `K${index}` })), snapshotSinkRefs: others, databaseSinkRefs: others, eventSinkRefs: others, minExportInterval: '24h' };
const repository = { type: 'git', endpoint: 'https://example.com/a/b.git', git: {}, connectionTest: true, exportMinInterval: '24h' };
const layouts = [{}, { pathTemplate: filled('a/', 4000) }, { pathTemplate: '{namespace}/{name}' }, { layout: { mode: 'split', pathTemplate: '{uid}' } }, { layout: { mode: 'split', pathTemplate: '{name}/{uid}' } }];

const sharedTree = { ...repository, layout: { mode: 'split', pathTemplate: 'c/{uid}' } } as const;

/** So many objects of each kind in one namespace, as large as schemas let them be, and all at one place. The rules came later than they. */
function hostileCluster(count: number, scopes: number): KnownObjects {
  const known = new KnownObjects();
  const set = (kind: string, name: string, spec: object) => known.set({ kind, metadata: { name, ...(kind.startsWith('KollectCluster') ? {} : { namespace: 'team-a' }) }, spec } as KnownObject);
  for (let index = 0; index < count; index++) set('KollectSnapshotSink', lateName(index), { ...repository, ...layouts[index % layouts.length] });
  known.set({ kind: 'KollectSnapshotSink', metadata: { name: 'shared', namespace: 'team-b' }, spec: sharedTree });
  for (let index = 0; index < count; index++) {
    // Some sinks are those of all, the others those of a few.
    const refs = { snapshotSinkRefs: times(20, (ref) => lateName((ref < 5 ? ref : index * 20 + ref) % count)), exportMinInterval: '1s' };
    set('KollectInventory', lateName(index), refs);
    set('KollectClusterInventory', lateName(index), { ...refs, snapshotSinkRefs: [...refs.snapshotSinkRefs.slice(1), { name: 'shared', namespace: 'team-b' }], sinkNamespace: 'team-a' });
    set('KollectTarget', lateName(index), { profileRef: 'p', ...wideFilter });
    set('KollectClusterTarget', lateName(index), { profileRef: { name: 'p', namespace: 'team-a' }, ...wideFilter });
    set('KollectProfile', lateName(index), { targetGVK: gvk });
  }
  for (let index = 0; index < scopes; index++) {
    set('KollectScope', lateName(index), narrowScope);
    set('KollectClusterScope', lateName(index), { ...narrowScope, allowedStaticRefNamespaces: others });
  }
  return known;
}

/** Reviews that look at as much of it as they can. */
const nosy: readonly [what: string, kind: string, spec: object, name?: string][] = [
  ['an inventory of sinks that all use', 'KollectInventory', { exportMinInterval: '24h', snapshotSinkRefs: times(20, (index) => ({ name: lateName(index) })) }],
  ['an inventory of sinks that are misspelt', 'KollectInventory', { exportMinInterval: '24h', snapshotSinkRefs: times(20, (index) => ({ name: misspelt(index) })) }],
  ['a cluster inventory of targets that are misspelt', 'KollectClusterInventory', { exportMinInterval: '24h', sinkNamespace: 'team-a', namespaceSelector: {}, targetRefs: times(1000, misspelt) }],
  ...layouts.map((layout, index): [string, string, object, string] => [`a sink of all, ${index}`, 'KollectSnapshotSink', { ...repository, ...layout }, lateName(index)]),
  ['a sink of all with paths of its own', 'KollectSnapshotSink', { ...repository, pathTemplate: `${filled('b/', 4050)}{namespace}/{name}.yaml` }, lateName(0)],
  ['a sink of all with trees of their own', 'KollectSnapshotSink', { ...repository, layout: { mode: 'split', pathTemplate: 'b/{namespace}/{name}/{uid}' } }, lateName(3)],
  ['a sink of all cluster inventories, with one tree', 'KollectSnapshotSink', sharedTree, 'shared'],
  ['a target', 'KollectTarget', { profileRef: misspelt(0), ...wideFilter }],
  ['a cluster target', 'KollectClusterTarget', { profileRef: { name: lateName(1), namespace: 'team-a' }, namespaceSelector: { matchLabels: { a: 'b' } }, ...wideFilter }],
  ['a profile of all targets', 'KollectProfile', profileSpec(['$.a']), 'p'],
  ['a scope', 'KollectScope', narrowScope, '0'],
  ['a cluster scope', 'KollectClusterScope', narrowScope, '0'],
  ['a connection test', 'KollectConnectionTest', { sinkRef: { snapshotSinkRef: misspelt(0) } }],
];

t.test('no cluster keeps the process for long, whatever it holds', async (t) => {
  const expressions = rememberingJudge();
  const installation = { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: false };
  const spentIn = (lookups: Lookups) => nosy.map(([what, kind, spec, name = 'sample']): [string, number] => {
    const namespace = kind.startsWith('KollectCluster') ? '' : name === 'shared' ? 'team-b' : 'team-a';
    const judge = () => judgeObject({ kind, object: objectOf(kind, spec, { name }), namespace }, { installation, expressions, lookups, authorize: () => Promise.resolve([]) });
    judge();
    return [what, cpuMs(judge)];
  });
  const sum = (spent: [string, number][]) => spent.reduce((total, [, ms]) => total + ms, 0);
  for (const scopes of [0, 1]) {
    const [few, many] = [spentIn(hostileCluster(50, 50 * scopes)), spentIn(hostileCluster(1000, 1000 * scopes))];
    for (const [what, ms] of many) t.ok(ms < 5 * maxCpuMs, `${what}: ${Math.round(ms)} ms`);
    // There are twenty times as many objects.
    t.ok(sum(many) < 8 * sum(few), `${Math.round(sum(few))} ms, then ${Math.round(sum(many))} ms`);
    t.comment(`${scopes === 0 ? 'without' : 'with'} scopes: ${Math.round(sum(few))} ms, then ${Math.round(sum(many))} ms, the slowest ${Math.round(Math.max(...many.map(([, ms]) => ms)))} ms`);
  }
});

t.test('a sink that changes under ten thousand inventories keeps the process for a moment at a time', async (t) => {
  const count = 10_000;
  const known = new KnownObjects();
  const set = (kind: string, name: string, spec: object) => known.set({ kind, metadata: { name, namespace: 'team-a' }, spec } as KnownObject);
  const change = (template: string) => set('KollectSnapshotSink', 's', { ...repository, pathTemplate: template });
  for (let index = 0; index < count; index++) set('KollectInventory', lateName(index), { snapshotSinkRefs: ['s'] });
  /** How many inventories are known to write where the template leads them. */
  const there = (template: string): number => {
    const sink: KnownSink = { kind: 'KollectSnapshotSink', metadata: { name: 's', namespace: 'team-a' }, spec: { ...repository, pathTemplate: template } as KnownSink['spec'] };
    const written = writtenPaths(sink)!;
    return [...known.inventories('team-a')].filter((inventory) => [...known.writers(pathKeys(inventory, written(inventory))[0]!)].some((use) => use.inventory === inventory)).length;
  };
  const [first, second, third] = ['a', 'b', 'c'].map((part) => `${filled(`${part}/`, 3600)}${'{namespace}/'.repeat(30)}{name}.yaml`) as [string, string, string];
  let attempt = 0;
  const changing = cpuMs(() => change(`${attempt++}/${first}`), maxCpuMs / 2);
  t.ok(changing < maxCpuMs / 2, `${Math.round(changing)} ms`);
  change(first);
  t.ok(there(first) < count, 'the others have their turn later');
  await eventually(() => there(first) === count, { what: 'all of them' });
  change(second);
  change(third);
  await eventually(() => there(third) === count, { what: 'what was changed last' });
  t.strictSame([there(first), there(second)], [0, 0]);
  change(first);
  known.delete('KollectSnapshotSink', 'team-a', 's');
  await eventually(() => there(first) + there(third) === 0, { what: 'a sink that is gone' });
});

/** Pieces of expressions and paths, right and wrong. */
const piece = fc.oneof(
  fc.constantFrom('object', '.spec', '.a', '[0]', '["x"]', "['x']", '[*]', '..', '.*', '[?(@.a=="b")]', '[?@.a]', '[1:2]', '(', ')', '[', ']', '{', '}', '+', '&&', '||', '!', '?', ':', ',', ' in ', '==', '"', "'", '\\', '"abc"', '1', '1.5', 'true', 'null', 'has(', 'size(', '.map(x, x', '.all(x, ', '.filter(y, ', '.matches("(a{30}){30}")', '.matches("(?i)[^a]*?(b|c)+$")', '.replace("", "xx")', '.split("")', 'cel.bind(v, object, v)', 'duration("1h")', 'timestamp("2026-01-01T00:00:00Z")', '.getHours("Europe/Berlin")', '{"a": 1}', '[1, 2]', 'helm:release.', 'chartVersion', 'config', '\u{1F600}', '\0'),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);
const body = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
const repeatedPiece = fc.tuple(piece, fc.nat(4000)).map(([text, length]) => filled(text === '' ? ' ' : text, length));
const goodPath = fc.constantFrom('$.metadata.name', '{.spec.replicas}', "$.status.conditions[?(@.type=='Ready')].status", '$.spec.template.spec.containers[*].image', 'cel:size(object.spec.containers) > 2', 'cel:object.metadata.name.matches("^[a-z]{1,20}$")', 'cel:has(object.spec.a) ? object.spec.a : 0');
const badPath = fc.oneof(body, repeatedPiece, ...['cel:', '$', '$.', '{.', 'helm:release.', 'cel:object.'].map((prefix) => fc.oneof(body, repeatedPiece).map((text) => prefix + text)));
const path = fc.oneof({ weight: 9, arbitrary: goodPath }, { weight: 2, arbitrary: badPath });
const name = fc.oneof(fc.constantFrom('a', 'b', '', ' ', '__proto__', 'constructor', 'resource', 'gvk'), fc.string({ maxLength: 80 }));
const anything = fc.anything({ maxDepth: 3, maxKeys: 4, withBigInt: true });
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof({ weight: 60, arbitrary }, { weight: 1, arbitrary: anything }, { weight: 1, arbitrary: fc.constant(undefined) });
const profile = fc.record({
  targetGVK: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(gvk, secretGvk) }, { weight: 1, arbitrary: some(fc.record({ group: fc.constantFrom('', 'apps', 'core', '*'), version: fc.constantFrom('v1', '', 'apps/v1'), kind: fc.constantFrom('Deployment', 'Secret', 'secret', '') })) }),
  attributes: some(fc.array(some(fc.record({ name: some(fc.oneof({ weight: 5, arbitrary: fc.string({ unit: fc.constantFrom(...'abcdef'), minLength: 4, maxLength: 9 }) }, { weight: 1, arbitrary: name })), path: some(path), type: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom('string', 'int', 'list', 'map', 'x') }), optional: fc.boolean() })), { maxLength: 6 })),
  export: fc.option(fc.record({ mode: some(fc.constantFrom('Attributes', 'Resource')), as: some(name), prune: some(fc.record({ jsonPointers: some(fc.array(some(body), { maxLength: 4 })), jsonPaths: some(fc.array(some(path), { maxLength: 4 })), scrubKeys: some(fc.array(some(name), { maxLength: 4 })), cel: some(fc.array(some(body), { maxLength: 2 })) })) }), { nil: undefined, freq: 1 }),
  metrics: fc.option(fc.array(some(fc.record({ name: some(name), path: some(name), labels: some(fc.array(some(name), { maxLength: 7 })) })), { maxLength: 4 }), { nil: undefined, freq: 1 }),
});
const metadata = fc.record({ name: fc.constant('x'), namespace: fc.constant('team-a'), annotations: some(fc.dictionary(fc.constantFrom('kollect.dev/allow-secret-extraction', 'kollect.dev/x', 'example.com/x'), some(fc.constantFrom('true', 'false', 'yes')), { maxKeys: 3 })) });

const seed = Number(process.env['KOLLECT_FUZZ_SEED'] ?? 20_260_101);
/** In full 10,000; a part of it shows the same on every push. */
const runs = Number(process.env['KOLLECT_FUZZ_RUNS'] ?? 1500);

t.test('generated profiles are judged, each in no time', async (t) => {
  t.comment(`seed ${seed}, ${runs} profiles`);
  let refused = 0;
  let worst = 0;
  fc.assert(
    fc.property(profile, metadata, (spec, meta) => {
      const object = objectOf('KollectProfile', spec, meta);
      const spent = cpuMs(() => validate('KollectProfile', object), maxCpuMs);
      worst = Math.max(worst, spent);
      const findings = validate('KollectProfile', object);
      if (findings.some(({ severity }) => severity === 'error')) refused++;
      return spent < maxCpuMs && findings.every((finding) => finding.rule !== undefined && renderFinding(finding).length < 2000);
    }),
    { numRuns: runs, seed },
  );
  t.comment(`${refused} of ${runs} refused, the slowest took ${Math.round(worst)} ms`);
  t.ok(refused > 0 && refused < runs);
});

t.test('objects of all kinds with one part exchanged are judged', async (t) => {
  const good = allVectors.filter(({ errors = [], code }) => errors.length === 0 && code === undefined);
  fc.assert(
    fc.property(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(), fc.oneof(anything, path, name)), { minLength: 1, maxLength: 3 }), ({ kind, object }, edits) => {
      const edited = structuredClone(object);
      for (const [at, value] of edits) exchange(edited, at, value);
      for (const judged of [validate(kind, objectOf(kind, edited.spec, edited.metadata)), validate(kind, edited)]) if (judged.some(({ rule }) => rule === undefined)) return false;
      return true;
    }),
    { numRuns: runs, seed },
  );
  for (const { kind } of kinds) for (const value of [null, undefined, 1, 'x', [], {}, { spec: null }, { spec: [] }, { spec: 'x', metadata: 7 }]) t.ok(validate(kind, value).every(({ rule }) => rule === 'schema' || rule !== undefined), `${kind} ${JSON.stringify(value)}`);
});

/** Puts a value in the place of some member, at any depth. */
function exchange(root: object, at: number, value: unknown): void {
  const places: [Record<string, unknown>, string][] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key]);
      visit((node as Record<string, unknown>)[key]);
    }
  };
  visit(root);
  const place = places[at % places.length];
  if (place !== undefined) place[0][place[1]] = value;
}

t.test('an object of any shape may stand among those that are known', async (t) => {
  const length = { toString: 1, valueOf: 1 };
  for (const { kind } of kinds) {
    for (const spec of [{ length }, { name: { length }, profileRef: { length }, endpoint: { length }, resourceRules: { length } }]) t.doesNotThrow(() => objectLookups([objectOf(kind, spec)]), kind);
  }
});

/** Ways to the data of a Secret, and around it. */
const step = fc.constantFrom('.data', '["data"]', "['data']", '.dat\\a', '[*]', '..', '.*', '.password', '["pass" + "word"]', '.metadata', '.annotations', '.name', '.type', '.stringData', '[?(@.password)]', '[0]', '.?data', '.filter(k, true)', '.map(k, object[k])', '.orValue("")', '.size()');
const secretish = fc.tuple(fc.constantFrom('$', '{', 'cel:object', 'cel:[object][0]', 'cel:{"a": object}["a"]', 'cel:cel.bind(o, object, o)'), fc.array(step, { minLength: 1, maxLength: 4 })).map(([root, steps]) => root + steps.join('') + (root === '{' ? '}' : ''));

t.test('a Secret is not read through a path that was admitted', async (t) => {
  const secret = { metadata: { name: 's', annotations: {} }, type: 'Opaque', data: { password: 'canary' }, stringData: { password: 'canary' } };
  const judge = rememberingJudge();
  let admitted = 0;
  fc.assert(
    fc.property(fc.oneof(path, secretish), (text) => {
      if (validate('KollectProfile', objectOf('KollectProfile', profileSpec([text], { targetGVK: secretGvk })), { expressions: judge }).some(({ severity }) => severity === 'error')) return true;
      admitted++;
      try {
        return !(JSON.stringify(compilePath(text).evaluate(secret), (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value)) ?? '').includes('canary');
      } catch {
        return true;
      }
    }),
    { numRuns: runs * 2, seed },
  );
  t.ok(admitted > runs / 20, `${admitted} admitted`);
});
