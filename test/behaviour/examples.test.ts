import t from 'tap';
import { KubeApiError, KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { Discovery } from '../../shared/kube/discovery.ts';
import { parseJson } from '../../shared/kube/json.ts';
import { createLogger } from '../../shared/log.ts';
import { eventually } from '../servers/eventually.ts';
import { startController, type TargetObject } from './collecting.ts';
import { data } from './examples/data.ts';
import { canary, type Example, type ExampleObject, type World } from './examples/example.ts';
import { secrets } from './examples/secrets.ts';
import { ceiling, clusterKinds, selection } from './examples/selection.ts';
import { wholeObjects } from './examples/whole-objects.ts';
import { workloads } from './examples/workloads.ts';
import { startKollect } from './harness.ts';

// Worked examples: objects, a profile and a target, and the rows and the status that come of them. All are in one cluster at once; rows are read
// where they are exported to, those of cluster targets from the controller.

const worlds: readonly World[] = [workloads, data, wholeObjects, secrets, selection, ceiling, clusterKinds];
const apiVersion = 'kollect.dev/v1alpha1';

const kollect = await startKollect({ test: t, startController: false, cluster: { controllerManager: false } });
const client = new KubeClient(await loadConnection({ kubeconfig: kollect.cluster.kubeconfig }));
t.teardown(() => client.close());
const discovery = new Discovery(client);
const lines: string[] = [];
const controller = await startController(t, kollect.cluster, {
  namespaceDefaults: { included: [], excluded: ['never', 'kube-system'] },
  mapHosts: new Map([['postgres.kollect-system.svc:5432', { host: '127.0.0.1', port: kollect.postgres.port }]]),
  logger: createLogger({ level: 'debug', format: 'json', name: 'controller', write: (line) => void lines.push(line) }),
});

interface Case {
  title: string;
  world: World;
  example: Example;
  /** Of the profile and the target. */
  name: string;
}

const cases: Case[] = worlds.flatMap((world) => Object.entries(world.examples).map(([title, example], index) => ({ title: `${world.home}: ${title}`, world, example, name: `${world.home}-${index}` })));
const uids = new Map<string, string>();
/** What the API server said when it refused, by kind and name. */
const refusals = new Map<string, string>();

await applyAll();

async function applyAll(): Promise<void> {
  const own = (kind: string, { name, world }: Case, spec: object, more: object = {}): ExampleObject => ({ apiVersion, kind, metadata: { name, namespace: world.home, ...more }, spec });
  await together(worlds.flatMap(({ home, namespaces = { [home]: {} } }) => Object.entries(namespaces).map(([name, metadata]) => create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...metadata } }, ''))));
  const objects = worlds.flatMap((world) => world.objects.map((object) => ({ object, home: world.home })));
  const isDefinition = ({ object }: (typeof objects)[number]): boolean => object.kind === 'CustomResourceDefinition';
  await together(objects.filter(isDefinition).map(({ object, home }) => create(object, home)));
  await together([
    ...objects.filter((entry) => !isDefinition(entry)).map(({ object, home }) => served(object, home)),
    ...worlds.map(({ home }) => create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn' }, stringData: { dsn: kollect.dsn } }, home)),
    ...cases.map((one) => judged(own('KollectProfile', one, one.example.profile, one.example.annotations && { annotations: one.example.annotations }), one.world.home)),
  ]);
  await together([
    ...worlds.map(({ home }) => create({ apiVersion, kind: 'KollectDatabaseSink', metadata: { name: 'pg' }, spec: { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 'inventory_items' } } }, home)),
    ...cases.filter(({ example }) => example.refused?.profile === undefined).map((one) => judged(targetOf(one), one.world.home)),
  ]);
  await together(worlds.map(({ home }) => create({ apiVersion, kind: 'KollectInventory', metadata: { name: 'inventory' }, spec: { databaseSinkRefs: ['pg'] } }, home)));
}

function targetOf({ example, name, world: { home } }: Case): ExampleObject {
  return example.clusterWide
    ? { apiVersion, kind: 'KollectClusterTarget', metadata: { name }, spec: { profileRef: { name, namespace: home }, ...example.target } }
    : { apiVersion, kind: 'KollectTarget', metadata: { name }, spec: { profileRef: name, ...example.target } };
}

/** Sixteen at a time. */
async function together(work: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = [...work];
  await Promise.all(Array.from({ length: 16 }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next();
  }));
}

/** Applies an object, and its status where that is a resource of its own. */
function create(object: ExampleObject, home: string): () => Promise<void> {
  return async () => {
    const [version = '', group = ''] = object.apiVersion.split('/').reverse();
    const resource = await discovery.resolve({ group, version, kind: object.kind });
    if (resource === undefined) throw new Error(`no ${object.kind} in ${object.apiVersion}`);
    const namespace = resource.namespaced ? (object.metadata.namespace ?? home) : '';
    const path = resource.path(resource.namespaced ? namespace : undefined);
    const metadata = { ...object.metadata, ...(resource.namespaced ? { namespace } : {}) };
    const created = await client.create<{ metadata: { uid: string } }>(path, withDigits({ ...object, metadata }));
    uids.set(`${object.kind} ${namespace}/${object.metadata.name}`, created.metadata.uid);
    if ('status' in object && (group === '' || group === 'apps')) await client.patch(`${path}/${object.metadata.name}/status`, { type: 'merge', body: { status: object['status'] } });
  };
}

/** Kinds of definitions are served a moment after the definition is there. */
function served(object: ExampleObject, home: string): () => Promise<void> {
  return () =>
    eventually(async () => {
      try {
        await create(object, home)();
        return true;
      } catch (error) {
        discovery.invalidate(object.apiVersion.split('/')[0] as string, object.apiVersion.split('/')[1] ?? '');
        throw error;
      }
    }).then(() => {});
}

function judged(object: ExampleObject, home: string): () => Promise<void> {
  const apply = create(object, home);
  return async () => {
    try {
      await apply();
    } catch (error) {
      if (!(error instanceof KubeApiError) || error.status < 400 || error.status >= 500) throw error;
      refusals.set(`${object.kind.replace('Cluster', '')} ${object.metadata.name}`, error.message);
    }
  };
}

/** The client writes what JSON.stringify takes; integers beyond 2^53 as their digits. */
function withDigits(value: unknown): unknown {
  if (typeof value === 'bigint') return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(value.toString());
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withDigits);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withDigits(member)]));
}

type Row = Record<string, unknown> & { namespace: string; name: string };

/** The rows that a case should have, in the order of their names. */
function wantedRows({ example, name, world: { home } }: Case): Row[] {
  const { group = '', version, kind } = example.profile.targetGVK;
  return Object.entries(example.rows ?? {})
    .map(([key, attributes]): Row => {
      const [object = '', namespace = home] = key.split('/').reverse();
      const identity = { targetNamespace: example.clusterWide ? '' : home, targetName: name, namespace, name: object, ...(group === '' ? {} : { group }), version, kind };
      return { ...identity, uid: uids.get(`${kind} ${namespace}/${object}`), attributes };
    })
    .sort(byName);
}

function byName(left: Row, right: Row): number {
  return `${left.namespace}/${left.name}` < `${right.namespace}/${right.name}` ? -1 : 1;
}

async function foundRows(): Promise<Map<string, Row[]>> {
  const stored = await kollect.psql<{ payload: string }>('SELECT payload::text AS payload FROM inventory_items');
  const ofClusterTargets = [...controller.rows.targets()].filter(({ namespace }) => namespace === '').flatMap((target) => [...target.rows()].map(({ payload }) => payload));
  const rows = [...stored.map(({ payload }) => payload), ...ofClusterTargets].map((payload) => parseJson(payload) as Row);
  return Map.groupBy(rows.sort(byName), (row) => `${String(row['targetNamespace'])}/${String(row['targetName'])}`);
}

function wantedStatus({ example }: Case): object {
  const { ready = 'True Collecting', failures = 0, error, effectiveNamespaces, matchedNamespaces } = example.status ?? {};
  const [, reason] = ready.split(' ');
  const isReady = ready.startsWith('True');
  return {
    Ready: ready,
    Synced: isReady ? `True ${failures > 0 ? 'PartialExtraction' : 'Collecting'}` : `False ${reason}`,
    Degraded: `${isReady ? 'False' : 'True'} ${reason}`,
    observedGeneration: 1,
    ...(isReady ? { count: Object.keys(example.rows ?? {}).length, failures } : {}),
    ...(error === undefined ? {} : { error }),
    ...(effectiveNamespaces === undefined ? {} : { effectiveNamespaces }),
    ...(matchedNamespaces === undefined ? {} : { matchedNamespaces }),
  };
}

async function foundStatuses(): Promise<Map<string, TargetObject['status']>> {
  const lists = await Promise.all(['kollecttargets', 'kollectclustertargets'].map((plural) => client.get<{ items: (TargetObject & { metadata: { name: string; namespace?: string } })[] }>(`/apis/${apiVersion}/${plural}`)));
  return new Map(lists.flatMap(({ items }) => items.map(({ metadata, status }): [string, TargetObject['status']] => [`${metadata.namespace ?? ''}/${metadata.name}`, status])));
}

/** As much of a status as the example says something about. */
function shownStatus(status: TargetObject['status'], wanted: object): object {
  const all: Record<string, unknown> = {
    ...Object.fromEntries((status?.conditions ?? []).map(({ type, status: value, reason }) => [type, `${value} ${reason}`])),
    observedGeneration: (status as { observedGeneration?: number } | undefined)?.observedGeneration,
    count: status?.collectedCount,
    failures: status?.extractionFailures,
    error: status?.lastExtractionError,
    effectiveNamespaces: status?.effectiveNamespaces,
    matchedNamespaces: status?.matchedNamespaces,
  };
  return Object.fromEntries(Object.keys(wanted).map((key) => [key, all[key]]));
}

const written = (value: unknown): string => JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner));
const sortedAttributes = (rows: readonly Row[]): unknown => rows.map((row) => ({ ...row, attributes: sorted(row['attributes']) }));

/** JSON in the database has an order of its own. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)).map(([key, member]) => [key, sorted(member)]));
}

const collected = cases.filter(({ example }) => example.refused === undefined);
const keyOf = ({ example, name, world: { home } }: Case): string => `${example.clusterWide ? '' : home}/${name}`;
const observed = async () => ({ rows: await foundRows(), statuses: await foundStatuses() });
const isAsWanted = (one: Case, { rows, statuses }: Awaited<ReturnType<typeof observed>>): boolean => {
  const status = wantedStatus(one);
  return written(sorted(shownStatus(statuses.get(keyOf(one)), status))) === written(sorted(status)) && written(sortedRows(rows.get(keyOf(one)) ?? [])) === written(sortedRows(wantedRows(one)));
};

function sortedRows(rows: readonly Row[]): unknown {
  return (sortedAttributes(rows) as Row[]).map((row) => sorted(row));
}

// What is not there in time is shown below, case by case.
await eventually(async () => {
  const found = await observed();
  return collected.every((one) => isAsWanted(one, found));
}, { timeoutMs: 150_000, intervalMs: 500 }).catch(() => {});
const last = await observed();

for (const one of cases) {
  t.test(one.title, async (t) => {
    const { example, name } = one;
    for (const part of ['profile', 'target'] as const) {
      const said = refusals.get(`Kollect${part === 'profile' ? 'Profile' : 'Target'} ${name}`) ?? 'accepted';
      t.match(said, example.refused?.[part] ?? /^accepted$/, `what the API server says to the ${part}`);
    }
    if (example.refused !== undefined) return;
    const status = wantedStatus(one);
    t.strictSame(shownStatus(last.statuses.get(keyOf(one)), status), status, 'status');
    t.strictSame(sortedRows(last.rows.get(keyOf(one)) ?? []), sortedRows(wantedRows(one)), 'rows');
  });
}

t.test('no secret of an object is anywhere else', async (t) => {
  const hiding = [canary, Buffer.from(canary).toString('base64').replace(/.{2}=*$/, ''), new URL(kollect.dsn).password];
  const kinds = ['kollectprofiles', 'kollecttargets', 'kollectclustertargets', 'kollectinventories', 'kollectdatabasesinks'];
  const own = await Promise.all(kinds.map((plural) => client.get<{ items: { status?: unknown; metadata: { annotations?: unknown } }[] }>(`/apis/${apiVersion}/${plural}`)));
  const events = await client.get<{ items: { reportingComponent?: string }[] }>('/api/v1/events');
  const places: Record<string, string> = {
    rows: JSON.stringify(await kollect.psql('SELECT * FROM inventory_items')),
    'rows of the controller': [...controller.rows.targets()].flatMap((target) => [...target.rows()].map(({ payload }) => payload)).join('\n'),
    status: JSON.stringify(own.map(({ items }) => items.map(({ status, metadata }) => [status, metadata.annotations]))),
    events: JSON.stringify(events.items.filter(({ reportingComponent }) => reportingComponent !== '')),
    refusals: JSON.stringify([...refusals.values()]),
    'log of the controller': lines.join(''),
    'log of the webhook': kollect.webhook.logs(),
    metrics: await controller.metrics.registry.metrics(),
  };
  for (const [place, text] of Object.entries(places)) {
    t.ok(text.length > 2, `there is something to look at: ${place}`);
    for (const secret of hiding) t.notOk(text.includes(secret), `${secret.slice(0, 8)}… in ${place}: ${text.slice(Math.max(0, text.indexOf(secret) - 200), text.indexOf(secret) + 20)}`);
  }
});
