import t from 'tap';
import type { CollectionState, ResourceState } from '../../controller/collect/collector.ts';
import { InitialLists, initialListStatus, isSuspended, progress, type InitialList } from '../../controller/collect/initial-lists.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { Problem } from '../../controller/collect/resource-planner.ts';
import { targetStatus, type TargetOutcome } from '../../controller/collect/target-status.ts';
import { conditions as allowed, type ConditionSet } from '../../shared/api/conditions.ts';
import type { KollectTargetStatus } from '../../shared/api/kollect-target.ts';

const [early, now] = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z'];
const target = { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectTarget', metadata: { name: 'web', namespace: 'shop', generation: 3 }, spec: { resourceRules: [{}, {}] } };
const places = (count: number): string[] => Array.from({ length: count }, (_, index) => `ns-${String(index).padStart(3, '0')}`).reverse();

const deployments: ResourceState = {
  key: 'apps/v1/deployment',
  resource: { group: 'apps', version: 'v1', kind: 'Deployment', plural: 'deployments', namespaced: true, verbs: ['list'], path: () => '/apis/apps/v1/deployments' },
  watch: { phase: 'Synced', since: 0 },
  synced: true,
  listing: false,
  polled: { namespaces: 0, everyMs: 300_000 },
};
const nodes: ResourceState = { ...deployments, key: '/v1/node', resource: { ...deployments.resource, group: '', kind: 'Node', plural: 'nodes', namespaced: false } };

function state(more: Partial<CollectionState> = {}): CollectionState {
  return { synced: true, resources: [deployments], matchedNamespaces: ['shop'], effectiveNamespaces: ['shop'], scope: undefined, lastFailure: undefined, ...more };
}

function judged(outcome: TargetOutcome, { rows = 0, failing = 0, previous }: { rows?: number; failing?: number; previous?: KollectTargetStatus } = {}): KollectTargetStatus {
  const held = new RowStore().open('shop', 'web');
  for (let index = 0; index < rows; index++) held.resource('apps/v1/Deployment').upsert({ namespace: 'shop', name: `o${index}`, uid: `o${index}`, resourceVersion: '1', failures: index < failing ? 1 : 0, payload: String(index) });
  return targetStatus(target, previous, outcome, held, now);
}

const collecting = (more: Partial<CollectionState> = {}, problems: readonly Problem[] = []): TargetOutcome => ({ kind: 'collecting', state: state(more), problems });

/** `<type>=<status> <reason>`, the whole list. */
const cases: Record<string, [outcome: TargetOutcome, wanted: string[], failing?: number]> = {
  'all is well': [collecting(), ['Ready=True Collecting', 'Synced=True Collecting', 'Degraded=False Collecting']],
  'some attributes fail': [collecting(), ['Ready=True Collecting', 'Synced=True PartialExtraction', 'Degraded=False Collecting'], 1],
  'the first list is outstanding': [collecting({ synced: false }), ['Ready=False AwaitingSync', 'Synced=False AwaitingSync', 'Degraded=False AwaitingSync']],
  'the watch fails': [
    collecting({ synced: false, resources: [{ ...deployments, synced: false, watch: { phase: 'Failed', since: 0, reason: 'Forbidden', message: 'no' } }] }),
    ['Ready=False InformerRegistrationFailed', 'Synced=False InformerRegistrationFailed', 'Degraded=True InformerRegistrationFailed'],
  ],
  'some namespaces are denied for good': [
    collecting({ resources: [deployments, { ...nodes, watch: { phase: 'Synced', since: 0, reason: 'Forbidden', message: 'no' } }] }),
    ['Ready=True Collecting', 'Synced=True ScopeForbidden', 'Degraded=False Collecting'],
  ],
  ...Object.fromEntries(
    (['CrashLoop', 'InvalidSpec', 'InvalidProfile', 'ProfileNotFound', 'Suspended', 'ScopeGVKDenied', 'ScopeNamespaceDenied', 'ScopeLookupFailed', 'InformerRegistrationFailed'] as const).map((reason) => [
      reason,
      [{ kind: 'degraded', problems: [{ reason, message: 'why' }] }, [`Ready=False ${reason}`, `Synced=False ${reason}`, `Degraded=True ${reason}`]] satisfies [TargetOutcome, string[]],
    ]),
  ),
};

for (const [title, [outcome, wanted, failing = 0]] of Object.entries(cases)) {
  t.test(title, async (t) => {
    const found = judged(outcome, { rows: 2, failing }).conditions ?? [];
    t.strictSame(found.map(({ type, status, reason }) => `${type}=${status} ${reason}`), wanted);
    for (const kind of ['KollectTarget', 'KollectClusterTarget'] as const) {
      const reasons: ConditionSet = allowed[kind];
      for (const { type, status, reason } of found) t.ok(reasons[type as keyof ConditionSet]?.[status]?.includes(reason as never), `${kind} ${type}=${status} ${reason} is documented`);
    }
    t.ok(found.every(({ observedGeneration, lastTransitionTime }) => observedGeneration === 3 && lastTransitionTime === now));
  });
}

t.test('objects too large for a row are told as such', async (t) => {
  const held = new RowStore().open('shop', 'web');
  held.resource('apps/v1/Deployment').refuse('shop', 'large');
  for (const { type, status, reason, message } of targetStatus(target, undefined, collecting(), held, now).conditions ?? []) {
    t.match([reason, message], ['PayloadTooLarge', /^1 object\(s\) are left out or kept as they were, because a row has at most 4194304 bytes/]);
    const reasons: ConditionSet = allowed.KollectTarget;
    t.ok(reasons[type as keyof ConditionSet]?.[status]?.includes('PayloadTooLarge'), `${type} is documented`);
  }
});

t.test('several resources: the target is as well as the worst of them', async (t) => {
  const ready = (outcome: TargetOutcome): string => (judged(outcome).conditions ?? []).slice(0, 1).map(({ status, reason, message }) => `${status} ${reason} ${message}`).join('');
  t.equal(ready(collecting({ resources: [deployments, nodes] })), 'True Collecting collecting deployments.apps, nodes from 1 namespace(s)');
  t.equal(ready(collecting({ resources: [nodes] })), 'True Collecting collecting nodes');
  t.equal(ready(collecting({ synced: false, resources: [deployments, { ...nodes, synced: false }] })), 'False AwaitingSync the first list of nodes is not complete');
  const failing: ResourceState = { ...nodes, watch: { phase: 'Failed', since: 0, message: 'no' } };
  t.equal(ready(collecting({ resources: [deployments, failing] })), 'False InformerRegistrationFailed nodes cannot be listed and watched: no');
  t.equal(
    ready(collecting({ resources: [deployments, failing] }, [{ reason: 'ScopeGVKDenied', message: 'denied' }])),
    'False ScopeGVKDenied denied; nodes cannot be listed and watched: no',
  );
  const problems = Array.from({ length: 7 }, (_, index): Problem => ({ reason: 'InvalidProfile', message: `p${index}` }));
  t.equal(ready({ kind: 'degraded', problems }), 'False InvalidProfile p0; p1; p2; p3; p4; and 2 more');
});

t.test('namespaces that are listed now and then are told', async (t) => {
  const messages = judged(collecting({ resources: [{ ...deployments, polled: { namespaces: 12, everyMs: 300_000 } }, nodes] })).conditions?.map(({ message }) => message);
  const wanted = 'collecting deployments.apps, nodes from 1 namespace(s); listed every 300 s instead of watched, as there are more than --max-namespace-watches: deployments.apps in 12';
  t.strictSame(messages, [wanted, wanted, wanted]);
});

t.test('many namespaces: the first hundred by name, and how many there are', async (t) => {
  const status = judged(collecting({ matchedNamespaces: places(250), effectiveNamespaces: places(120), scope: 'KollectScope "team"' }));
  t.equal(status.effectiveNamespaces?.length, 100);
  t.equal(status.matchedNamespaces?.length, 100);
  t.strictSame([status.effectiveNamespaces?.[0], status.effectiveNamespaces?.[99]], ['ns-000', 'ns-099']);
  t.equal(status.conditions?.[0]?.message, 'collecting deployments.apps from 120 namespace(s); KollectScope "team" leaves out 130 more');
  t.equal(status.activeResourceRules, 2);
});

t.test('counts and times', async (t) => {
  const before = judged(collecting(), { rows: 2, failing: 1 });
  t.match(before, { collectedCount: 2, collectedCountUpdatedAt: now, extractionFailures: 1, observedGeneration: 3 });
  const previous: KollectTargetStatus = { ...before, collectedCountUpdatedAt: early, conditions: before.conditions?.map((condition) => ({ ...condition, lastTransitionTime: early })) };

  const same = judged(collecting(), { rows: 2, previous });
  t.equal(same.collectedCountUpdatedAt, early, 'a number that stays keeps its time');
  t.ok(same.conditions?.every(({ lastTransitionTime }) => lastTransitionTime === early), 'so does a condition, whatever its reason');

  const frozen: TargetOutcome = { kind: 'degraded', problems: [{ reason: 'Suspended', message: 'why' }] };
  t.match(judged(frozen, { previous }), { collectedCount: 2, collectedCountUpdatedAt: early }, 'never counted since the start: the old number');
  t.match(judged({ ...frozen, kind: 'denied' }, { previous }), { collectedCount: 0, collectedCountUpdatedAt: now }, 'denied: there is none');
  t.match(judged(collecting({ synced: false }), { previous }), { collectedCount: 2 }, 'nor does a list that has just begun count');
  t.match(judged(collecting(), { previous }), { collectedCount: 0, collectedCountUpdatedAt: now }, 'counted as none');
  t.notHas(judged(frozen, {}), { collectedCount: 0 });
});

t.test('ends of the controller during a first list are counted until the list ends otherwise, or somebody acts', async (t) => {
  interface Left {
    initialList?: { startedAt?: string; crashes?: number; reconcile?: string };
    generation?: number;
    request?: string;
    uid?: string;
  }
  const objectOf = ({ initialList, generation = 1, request, uid = 'u' }: Left) => ({
    ...target,
    metadata: { ...target.metadata, uid, generation, ...(request === undefined ? {} : { annotations: { 'kollect.dev/reconcile': request } }) },
    status: { observedGeneration: 1, ...(initialList && { initialList }) },
  });
  const listing = (synced: boolean, underWay: boolean): CollectionState => state({ synced, resources: [deployments, { ...nodes, synced, listing: underWay }] });
  const ofFound = (left: Left, lists = new InitialLists()): InitialList => lists.of(objectOf(left));
  const marked = { startedAt: early, crashes: 2 };

  t.equal(ofFound({}).crashes, 0);
  t.equal(ofFound({ initialList: { startedAt: early } }).crashes, 1, 'a mark without a count');
  t.equal(ofFound({ initialList: marked }).crashes, 3);
  t.equal(isSuspended(ofFound({ initialList: { crashes: 2 } })), false, 'without a mark nothing crashed');
  t.equal(isSuspended(ofFound({ initialList: marked })), true);
  t.equal(isSuspended(ofFound({ initialList: { crashes: 3 } })), true, 'at later starts, too');

  t.equal(ofFound({ initialList: marked, generation: 2 }).crashes, 0, 'an edit while it was down');
  t.equal(ofFound({ initialList: marked, request: 'a' }).crashes, 0, 'a request while it was down');
  t.equal(ofFound({ initialList: { ...marked, reconcile: 'a' }, request: 'a' }).crashes, 3, 'one that was answered');
  t.equal(ofFound({ initialList: { ...marked, reconcile: 'a' } }).crashes, 3, 'one that was taken back');
  t.equal(ofFound({ initialList: { ...marked, reconcile: 'a' }, request: 'b' }).crashes, 0);

  const lists = new InitialLists();
  const list = ofFound({ initialList: { ...marked, reconcile: 'a' }, request: 'a' }, lists);
  t.equal(ofFound({ request: 'a' }, lists), list, 'what status says later is our own');
  t.strictSame(initialListStatus(list), { crashes: 3, reconcile: 'a' });
  t.strictSame([...lists.marked()], []);
  t.equal(isSuspended(ofFound({ request: 'b' }, lists)), false);
  t.equal(initialListStatus(list), undefined);
  progress(list, listing(false, true), early);
  progress(list, listing(false, true), now);
  t.strictSame(initialListStatus(list), { startedAt: early, crashes: 0, reconcile: 'b' }, 'when it began');
  t.strictSame([...lists.marked()], ['shop/web']);

  list.crashes = 2;
  progress(list, listing(false, false), now);
  t.equal(initialListStatus(list), undefined, 'what is refused did not crash');
  progress(list, listing(false, true), now);
  t.strictSame(initialListStatus(list), { startedAt: now, crashes: 0, reconcile: 'b' }, 'and is not complete');
  progress(list, listing(true, false), now);
  progress(list, listing(false, true), now);
  t.equal(initialListStatus(list), undefined, 'later lists are not the first');
  t.not(ofFound({ request: 'b', uid: 'another' }, lists), list, 'another target of that name');
  lists.forget('shop/web');
  t.equal(ofFound({ initialList: marked, request: 'b' }, lists).crashes, 0);
  t.equal(ofFound({ request: 'x'.repeat(5_000) }).request?.length, 256);
});
