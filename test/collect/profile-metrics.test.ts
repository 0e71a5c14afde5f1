import t from 'tap';
import { referenceResult } from '../../controller/observe/references.ts';
import { KollectError } from '../../shared/errors.ts';
import { Registry } from 'prom-client';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { TargetRows } from '../../controller/collect/target-rows.ts';
import { ControllerMetrics } from '../../controller/observe/metrics.ts';
import { ProfileMetrics } from '../../controller/observe/profile-metrics.ts';
import { sampleRows } from '../../controller/observe/row-sample.ts';
import { canonicalRow } from '../../shared/extract/canonical-json.ts';
import { compileProfile, type AttributeSource, type MetricSource } from '../../shared/extract/compile-profile.ts';
import type { JsonObject } from '../../shared/extract/json.ts';

const attribute = (name: string, type?: string): AttributeSource => ({ name, path: `$.spec.${name}`, type, optional: true });

function profileOf(metrics: readonly MetricSource[] = [], attributes: readonly AttributeSource[] = ['replicas', 'team', 'tier'].map((name) => attribute(name))) {
  return compileProfile({ metadata: { name: 'summary' }, spec: { targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' }, attributes, metrics } });
}

function put(rows: TargetRows, uid: string, attributes: JsonObject, version = 'v1'): void {
  const payload = canonicalRow({ targetNamespace: rows.namespace, targetName: rows.name, namespace: 'shop', name: uid, group: 'apps', version, kind: 'Deployment', uid, attributes });
  rows.resource(`apps/${version}/deployment`).upsert({ namespace: 'shop', name: uid, uid, payload, resourceVersion: '1', failures: 0 });
}

function scraped(intervalMs = 0) {
  const store = new RowStore();
  const registry = new Registry();
  new ProfileMetrics({ store, registry, intervalMs });
  /** Series and values of the target `team-a/web`, without the labels that all of them have. */
  const scrape = async (): Promise<string[]> => {
    const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return lines.map((line) => line.replace(',target_namespace="team-a",target_name="web",profile="summary",gvk="apps/v1/Deployment"', '').replace('target_namespace="team-a",target_name="web",profile="summary",gvk="apps/v1/Deployment",', '').replace('kollect_custom_resource_', '')).sort();
  };
  return { store, scrape };
}

t.test('a profile without metrics gives a sum for each attribute with numbers', async (t) => {
  const { store, scrape } = scraped();
  const rows = store.open('team-a', 'web');
  t.strictSame(await scrape(), [], 'nothing before the target collects');
  rows.resource('apps/v1/deployment').profile = profileOf([], [attribute('replicas'), attribute('team'), attribute('cost', 'float'), attribute('size')]);
  put(rows, 'a', { replicas: 3, team: 'red', size: ' 1.5e1 ' });
  put(rows, 'b', { replicas: 2, team: true, size: '-1' });
  put(rows, 'c', { replicas: { redacted: true }, team: '0x10', size: '' });
  const own = 'target_namespace="team-a",target_name="web",profile="summary",gvk="apps/v1/Deployment"';
  t.strictSame(await scrape(), [
    `kollect_collected_objects{${own}} 3`,
    'series{series="cost"} 0',
    'series{series="object_count"} 3',
    'series{series="replicas"} 5',
    'series{series="size"} 14',
  ]);
});

t.test('metrics sum what they name, by labels where they have some, and follow what is deleted', async (t) => {
  const { store, scrape } = scraped();
  const rows = store.open('team-a', 'web');
  rows.resource('apps/v1/deployment').profile = profileOf([{ name: 'pods', path: 'replicas' }, { name: 'pods_by_team', path: 'replicas', labels: ['tier', 'team'] }]);
  put(rows, 'a', { replicas: 3, team: 'red', tier: 1 });
  put(rows, 'b', { replicas: 2, team: 'red', tier: 1 });
  put(rows, 'c', { replicas: 7, team: 'say "hi"\n', tier: null });
  put(rows, 'd', { team: 'blue' });
  const sums = async (): Promise<string[]> => (await scrape()).filter((line) => !line.startsWith('kollect_collected'));
  t.strictSame(await sums(), [
    'labeled_series{team="red",tier="1",series="pods_by_team"} 5',
    'labeled_series{team="say \\"hi\\"\\n",tier="",series="pods_by_team"} 7',
    'series{series="object_count"} 4',
    'series{series="pods"} 12',
  ]);
  rows.resource('apps/v1/deployment').remove('shop', 'c');
  rows.resource('apps/v1/deployment').remove('shop', 'b');
  put(rows, 'a', { replicas: 1, team: 'green', tier: 1 });
  t.strictSame(await sums(), [
    'labeled_series{team="green",tier="1",series="pods_by_team"} 1',
    'series{series="object_count"} 2',
    'series{series="pods"} 1',
  ]);
  rows.resource('apps/v1/deployment').profile = profileOf([{ name: 'object_count', path: 'replicas' }]);
  t.strictSame(await sums(), ['series{series="object_count"} 1'], 'another profile counts at once, and its own name wins');
  store.close('team-a', 'web');
  t.strictSame(await scrape(), [], 'a target that is gone has no series');
});

t.test('a target of several kinds has series for each, and counts an object that two of them serve once', async (t) => {
  const { store, scrape } = scraped();
  const rows = store.open('team-a', 'web');
  for (const version of ['v1', 'v2']) {
    const targetGVK = { group: 'apps', version, kind: 'Deployment' };
    rows.resource(`apps/${version}/deployment`).profile = compileProfile({ metadata: { name: 'summary' }, spec: { targetGVK, attributes: [attribute('replicas')], metrics: [{ name: 'pods', path: 'replicas' }] } });
  }
  put(rows, 'a', { replicas: 3 });
  for (const uid of ['a', 'b', 'c']) put(rows, uid, { replicas: 1 }, 'v2');
  const of = async (start: string): Promise<string[]> => (await scrape()).filter((line) => line.startsWith(start) || line.includes(`"${start}"`)).map((line) => line.replace(/^.*gvk="([^"]*)".* /, '$1 ').replace(/^series.* /, 'apps/v1/Deployment '));
  t.strictSame(await of('kollect_collected'), ['apps/v1/Deployment 1', 'apps/v2/Deployment 2']);
  t.strictSame(await of('object_count'), ['apps/v1/Deployment 1', 'apps/v2/Deployment 2']);
  t.strictSame(await of('pods'), ['apps/v1/Deployment 3', 'apps/v2/Deployment 2']);
});

t.test('targets with one profile have series of their own', async (t) => {
  const { store, scrape } = scraped();
  const profile = profileOf([{ name: 'pods', path: 'replicas' }]);
  for (const [name, replicas] of [['web', 1], ['batch', 10]] as const) {
    const rows = store.open('team-a', name);
    rows.resource('apps/v1/deployment').profile = profile;
    put(rows, 'a', { replicas });
  }
  const lines = (await scrape()).filter((line) => line.includes('pods'));
  t.match(lines, [/^series\{series="pods"\} 1$/, /target_name="batch".* 10$/]);
});

t.test('sums are computed again after the interval only; counts are never old', async (t) => {
  const { store, scrape } = scraped(3_600_000);
  const rows = store.open('team-a', 'web');
  rows.resource('apps/v1/deployment').profile = profileOf();
  put(rows, 'a', { replicas: 1 });
  t.ok((await scrape()).includes('series{series="replicas"} 1'));
  put(rows, 'b', { replicas: 1 });
  const lines = await scrape();
  t.ok(lines.includes('series{series="replicas"} 1'), 'the sum waits');
  t.ok(lines.includes('series{series="object_count"} 2'));
  t.match(lines[0], /^kollect_collected_objects\{.*\} 2$/);
});

t.test('of many label sets the first in order are kept, with complete sums, and the rest is counted', async (t) => {
  const { store, scrape } = scraped();
  const rows = store.open('team-a', 'web');
  rows.resource('apps/v1/deployment').profile = profileOf([{ name: 'pods', path: 'replicas', labels: ['team'] }]);
  // Each of 1,000 teams has three rows; 337 and 3,000 have no common factor, so that the order is mixed.
  for (let index = 0; index < 3_000; index++) {
    const team = ((index * 337) % 3_000) % 1_000;
    put(rows, `u${index}`, { replicas: 1, team: `t${String(team).padStart(4, '0')}` });
  }
  const expected = Array.from({ length: 200 }, (_, team) => `labeled_series{team="t${String(team).padStart(4, '0')}",series="pods"} 3`);
  t.strictSame((await scrape()).filter((line) => line.startsWith('labeled_series{')), expected);
  const capped = async (): Promise<string | undefined> => (await scrape()).find((line) => line.startsWith('labeled_series_capped'));
  t.equal(await capped(), 'labeled_series_capped_total{series="pods"} 1', 'nothing changed: nothing was computed');
  put(rows, 'u0', { replicas: 2, team: 't0000' });
  t.equal(await capped(), 'labeled_series_capped_total{series="pods"} 2');
});

t.test('many rows are summed in turns, and what changes meanwhile ends it nowhere', async (t) => {
  const store = new RowStore();
  const rows = store.open('team-a', 'web');
  for (let index = 0; index < 50_000; index++) put(rows, `u${index}`, { replicas: 1 });
  let turns = 0;
  let running = true;
  const count = (): void => {
    turns++;
    rows.resource('apps/v1/deployment').remove('shop', `u${turns}`);
    put(rows, `new${turns}`, { replicas: 1 });
    if (running) setImmediate(count);
  };
  setImmediate(count);
  const { plain } = await sampleRows(rows.rows(), profileOf([{ name: 'pods', path: 'replicas' }]));
  running = false;
  t.ok(turns > 3, `${turns} turns of others`);
  t.ok(Math.abs(plain[0]!.value - 50_000) <= turns, 'only what changed may be missed or counted twice');
});

t.test('watches are counted by phase and reason, audits by what they found', async (t) => {
  const deployments = { group: 'apps', version: 'v1', resource: 'deployments' };
  const synced = { ...deployments, phase: 'Synced', reason: '' };
  const metrics = new ControllerMetrics({
    rows: () => 0,
    rowBytes: () => 0,
    unchanged: () => 0,
    refused: () => [],
    watches: () => [synced, synced, { ...deployments, phase: 'Failed', reason: 'Forbidden' }],
    bindings: () => [],
  });
  const resource = { group: 'apps', version: 'v1', kind: 'Deployment', plural: 'deployments', namespaced: true, verbs: [], path: () => '' };
  metrics.audited(resource, 'drifted');
  metrics.drifted(resource, 'gone', 3);
  const text = await metrics.registry.metrics();
  t.match(text, 'kollect_watch_state{group="apps",version="v1",resource="deployments",phase="Synced",reason=""} 2\n');
  t.match(text, 'kollect_watch_state{group="apps",version="v1",resource="deployments",phase="Failed",reason="Forbidden"} 1\n');
  t.match(text, 'kollect_collect_audits_total{group="apps",resource="deployments",result="drifted"} 1\n');
  t.match(text, 'kollect_collect_drift_total{group="apps",resource="deployments",drift="gone"} 3\n');
});

t.test('an error of opening a sink tells whether its name leads anywhere', async (t) => {
  const results = (['KOL_SINK_NOT_FOUND', 'KOL_SINK_FORBIDDEN', 'KOL_SCOPE_SINK', 'KOL_SCOPE_SINK_NAMESPACE', 'KOL_SINK_LOOKUP', 'KOL_SCOPE_LOOKUP', 'KOL_SINK_CONFIG'] as const).map((code) => referenceResult(new KollectError(code, 'why')));
  t.strictSame(results, ['not_found', 'forbidden', 'forbidden', 'forbidden', undefined, undefined, 'ok']);
  t.equal(referenceResult(new Error('of the sink')), 'ok');
});
