import t from 'tap';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { covers, joinShapes, shapeOf } from '../../controller/collect/watch-shape.ts';
import { isList, isWatch } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { collectAs } from './collecting.ts';

const cluster = await startCluster();
t.teardown(() => cluster.stop());
const admin = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => admin.close());
const path = (namespace: string, name: string): string => `/api/v1/namespaces/${namespace}/configmaps/${name}`;
const label = (namespace: string, name: string, labels: Record<string, string | null>): Promise<unknown> =>
  admin.patch(path(namespace, name), { type: 'merge', body: { metadata: { labels } } });

type Run = Awaited<ReturnType<typeof collectAs>>;
const requests = ({ proxy }: Run, match: (url: URL) => boolean) => proxy.requests.filter(({ url }) => match(url) && url.pathname.endsWith('/configmaps'));
const selectors = (run: Run): (string | null)[] => requests(run, isWatch).map(({ url }) => url.searchParams.get('labelSelector'));

t.jobs = 4;

t.test('a watch carries the selector that all targets agree on, and leaves it without losing rows', { buffered: true }, async (t) => {
  const run = await collectAs(t, { cluster, admin, user: 'admin' });
  const { north } = run;
  for (const name of ['a', 'b', 'c']) await run.write(north, name, '1');
  await label(north, 'b', { tier: 'back' });
  await label(north, 'c', { test: 'no', tier: 'back' });
  const agreed = { labelSelector: { matchLabels: { test: 'yes' } } };
  await run.collect('one', agreed);
  await run.collect('two', agreed);
  await run.synced('one');
  await run.synced('two');
  await run.shows('one', 'north/a=1 north/b=1');
  await eventually(() => selectors(run).length > 0);
  t.strictSame(selectors(run), ['test=yes']);

  // What leaves the selector leaves the rows, and what enters it comes.
  await label(north, 'a', { test: 'no' });
  await label(north, 'c', { test: 'yes' });
  await run.shows('one', 'north/b=1 north/c=1');
  await run.shows('two', 'north/b=1 north/c=1');
  await label(north, 'b', { 'kollect.dev/watch': 'disabled' });
  await run.shows('one', 'north/c=1');
  await label(north, 'b', { 'kollect.dev/watch': null });
  await run.shows('one', 'north/b=1 north/c=1');

  const gone: string[] = [];
  let unsynced = 0;
  run.store.subscribe({ row: (target, before, after) => void (target.name === 'one' && before && !after && gone.push(before.name)), opened: () => undefined, closed: () => undefined });
  const looking = setInterval(() => (unsynced += run.state('one').synced ? 0 : 1), 5);
  t.teardown(() => clearInterval(looking));
  let lists = requests(run, isList).length;
  await run.collect('back', { labelSelector: { matchLabels: { tier: 'back' } } });
  for (let round = 2; round < 12; round++) for (const name of ['b', 'c']) await run.write(north, name, `${round}`);
  await run.synced('back');
  await run.shows('back', 'north/b=11 north/c=11');
  await eventually(() => selectors(run).includes(null));
  await run.write(north, 'd', '1');
  await run.shows('one', 'north/b=11 north/c=11 north/d=1');
  await label(north, 'c', { test: 'no' });
  await run.shows('one', 'north/b=11 north/d=1');
  await run.shows('two', 'north/b=11 north/d=1');
  await run.shows('back', 'north/b=11 north/c=11');
  t.strictSame(gone, ['c'], 'no row leaves meanwhile');
  t.equal(unsynced, 0, 'and nobody waits who was complete');
  lists = requests(run, isList).length - lists;
  t.ok(lists <= 2, `${lists} lists`);
});

t.test('a target that is edited gets another selector, not a watch of everything', { buffered: true }, async (t) => {
  const run = await collectAs(t, { cluster, admin, user: 'admin' });
  for (const name of ['a', 'b']) await run.write(run.north, name, '1');
  await label(run.north, 'b', { test: 'other' });
  await run.collect('web', {});
  await run.shows('web', 'north/a=1');
  await run.collect('web', { labelSelector: { matchExpressions: [{ key: 'test', operator: 'In', values: ['other', 'another'] }] } });
  await run.shows('web', 'north/b=1');
  await run.synced('web');
  await run.collect('web', { labelSelector: undefined, names: ['a'] });
  await run.shows('web', 'north/a=1');
  await run.write(run.north, 'a', '2');
  await run.shows('web', 'north/a=2');
  await eventually(() => selectors(run).length === 3);
  t.strictSame(selectors(run), ['test=yes', 'test in (another,other)', null]);
  t.equal(requests(run, isWatch).at(-1)?.url.searchParams.get('fieldSelector'), 'metadata.name=a');
});

t.test('a watch becomes narrower a while after the last one left that needed more', { buffered: true }, async (t) => {
  const run = await collectAs(t, { cluster, admin, user: 'admin' }, { narrowMs: 300 });
  const { north } = run;
  for (const name of ['a', 'b']) await run.write(north, name, '1');
  const labels = '$.metadata.labels.test';
  await run.collect('names', {}, 'ConfigMap', labels);
  await run.collect('everything', { labelSelector: undefined });
  await run.synced('everything');
  await run.synced('names');
  await run.shows('names', 'north/a=yes north/b=yes');
  const open = (): string[] => requests(run, isWatch).filter((request) => request.open).map(({ url, headers }) => `${url.searchParams.get('labelSelector')} ${/PartialObjectMetadata/.test(headers.accept ?? '')}`);
  await eventually(() => open().join() === 'null false', { what: 'the wide watch alone' });

  const gone: string[] = [];
  let unsynced = 0;
  run.store.subscribe({ row: (target, before, after) => void (target.name === 'names' && before && !after && gone.push(before.name)), opened: () => undefined, closed: () => undefined });
  const looking = setInterval(() => (unsynced += run.state('names').synced ? 0 : 1), 5);
  t.teardown(() => clearInterval(looking));
  run.collector.forget(north, 'everything');
  for (let round = 0; round < 10; round++) await run.write(north, `c${round % 2}`, `${round}`);
  await admin.delete(path(north, 'b'));
  await eventually(() => open().join() === 'test=yes true', { what: 'the narrow watch alone' });
  await run.shows('names', 'north/a=yes north/c0=yes north/c1=yes');
  await run.write(north, 'd', '1');
  await run.shows('names', 'north/a=yes north/c0=yes north/c1=yes north/d=yes');
  t.strictSame(gone, ['b']);
  t.equal(unsynced, 0, 'nobody waits who was complete');

  // Whoever comes while a narrower watch begins keeps the one that runs.
  await run.collect('everything', { labelSelector: undefined });
  await run.synced('everything');
  await eventually(() => open().join() === 'null false');
  const gate = Promise.withResolvers<void>();
  t.teardown(() => gate.resolve());
  let held = 0;
  run.proxy.break({ match: (url) => isList(url) && url.searchParams.has('labelSelector'), before: () => (held++, gate.promise), times: 1 });
  run.collector.forget(north, 'everything');
  await eventually(() => held === 1, { what: 'the list of the narrower watch' });
  await run.collect('everything', { labelSelector: undefined });
  await run.synced('everything');
  gate.resolve();
  await run.write(north, 'e', '5');
  await eventually(() => run.rows('everything').includes('north/e=5'));
  await eventually(() => open().join() === 'null false', { what: 'the wide watch alone, again' });
  await run.shows('names', 'north/a=yes north/c0=yes north/c1=yes north/d=yes north/e=yes');
  await label(north, 'a', { test: 'no' });
  await eventually(() => run.rows('everything').includes('north/a=1'));
  await run.shows('names', 'north/c0=yes north/c1=yes north/d=yes north/e=yes');
});

t.test('objects come without their content while nobody reads it', { buffered: true }, async (t) => {
  const run = await collectAs(t, { cluster, admin, user: 'admin' });
  const secret = 'x'.repeat(50_000);
  await run.write(run.north, 'a', secret);
  await run.write(run.north, 'b', '1');
  const labels = '$.metadata.labels.test';
  await run.collect('names', {}, 'ConfigMap', labels);
  await run.synced('names');
  await run.shows('names', 'north/a=yes north/b=yes');
  await eventually(() => requests(run, isWatch).length > 0);
  for (const { headers } of requests(run, () => true)) t.match(headers.accept, /as=PartialObjectMetadata/);
  const [row] = run.store.get(run.north, 'names')!.rows();
  t.match(JSON.parse(row!.payload), { version: 'v1', kind: 'ConfigMap' });
  await run.write(run.north, 'c', '1');
  await admin.delete(path(run.north, 'b'));
  await run.shows('names', 'north/a=yes north/c=yes');

  await run.collect('values', {});
  await run.synced('values');
  await run.shows('values', `north/a=${secret} north/c=1`);
  await run.shows('names', 'north/a=yes north/c=yes');
  await run.write(run.north, 'c', '2');
  await run.shows('values', `north/a=${secret} north/c=2`);
  await run.write(run.north, 'd', '1');
  await run.shows('names', 'north/a=yes north/c=yes north/d=yes');
  t.equal(requests(run, isWatch).at(-1)?.headers.accept, 'application/json');
});

t.test('what a watch has to carry', async (t) => {
  const whole = { metadataOnly: false };
  const gvk = { version: 'v1', kind: 'Pod' };
  const cases: [title: string, spec: Parameters<typeof shapeOf>[0], wanted: object][] = [
    ['no selector', {}, {}],
    ['an empty one', { labelSelector: {} }, {}],
    ['labels in any order', { labelSelector: { matchLabels: { b: '1', a: '' } } }, { labelSelector: 'a=,b=1' }],
    ['expressions', { labelSelector: { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['2', '1'] }, { key: 'b', operator: 'Exists' }, { key: 'x.y/c', operator: 'DoesNotExist' }] } }, { labelSelector: '!x.y/c,a notin (1,2),b' }],
    ['a value that no label has', { labelSelector: { matchLabels: { a: 'not a label' } } }, {}],
    ['an operator that nobody knows', { labelSelector: { matchExpressions: [{ key: 'a', operator: 'Gt' as never, values: ['1'] }] } }, {}],
    ['one name', { names: ['a'] }, { fieldSelector: 'metadata.name=a' }],
    ['several names', { names: ['a', 'b'] }, {}],
    ['a name that no field selector can hold', { names: ['a,b'] }, {}],
    ['rules that agree, beside which labelSelector does not count', { labelSelector: { matchLabels: { z: '1' } }, resourceRules: [{ gvk, matchLabels: { a: '1' } }, { gvk, matchLabels: { a: '1' }, namespaceSelector: {} }] }, { labelSelector: 'a=1' }],
    ['rules that do not agree', { resourceRules: [{ gvk, matchLabels: { a: '1' } }, { gvk }] }, {}],
  ];
  for (const [title, spec, wanted] of cases) t.same(JSON.parse(JSON.stringify(shapeOf(spec, whole))), { ...whole, ...wanted }, title);
  const rules = (matchPolicy: string): Parameters<typeof shapeOf>[0] => ({ resourceRules: [{ gvk, matchPolicy }] });
  t.equal(shapeOf(rules("object.metadata.name == 'a'"), { metadataOnly: true }).metadataOnly, true);
  t.equal(shapeOf(rules("object.spec.x == 'a'"), { metadataOnly: true }).metadataOnly, false);
  const a = { labelSelector: 'a=1', fieldSelector: 'metadata.name=a', metadataOnly: true };
  const b = { labelSelector: 'b=1', fieldSelector: 'metadata.name=a', metadataOnly: false };
  t.strictSame(joinShapes([a, b]), { labelSelector: undefined, fieldSelector: 'metadata.name=a', metadataOnly: false });
  t.strictSame([covers(a, a), covers(a, b), covers(joinShapes([a, b]), a), covers(joinShapes([a, b]), b)], [true, false, true, true]);
});

t.test('which profiles read metadata only', async (t) => {
  const reads = (paths: string[], kind = 'Pod', exported?: { mode: string; include?: string }): boolean =>
    compileProfile({ spec: { targetGVK: { version: 'v1', kind }, attributes: paths.map((text, index) => ({ name: `a${index}`, path: text })), export: exported } }).metadataOnly;
  t.equal(reads(['$.metadata.name', "cel:object.metadata.labels['a']", '$.kind', '$.metadata.ownerReferences[*].name']), true);
  t.equal(reads(['$.metadata.name', '$.spec.nodeName']), false);
  t.equal(reads(['$..name']), false);
  t.equal(reads(['$.*.name']), false);
  t.equal(reads(['cel:has(object.spec)']), false);
  t.equal(reads(['cel:object.metadata.name + string(object.spec.x)']), false);
  t.equal(reads(['cel:[object].size()']), false);
  t.equal(reads(['$.metadata.name'], 'Secret'), false, 'what annotations repeat of the data must be known');
  t.equal(reads([], 'Pod', { mode: 'Resource' }), false);
  t.equal(reads([], 'Pod', { mode: 'Resource', include: 'MetadataOnly' }), true);
  t.equal(reads(['$.spec.nodeName'], 'Pod', { mode: 'Resource', include: 'MetadataOnly' }), false);
  for (const include of ['SpecOnly', 'StatusOnly', 'All']) t.equal(reads([], 'Pod', { mode: 'Resource', include }), false, include);
  t.equal(reads([], 'Secret', { mode: 'Resource', include: 'MetadataOnly' }), false);
});
