import t from 'tap';
import type { Test } from 'tap';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { Discovery } from '../../shared/kube/discovery.ts';
import { createLogger } from '../../shared/log.ts';
import { createAuthorizer } from '../../webhook/authorizer.ts';
import { WatchedObjects } from '../../webhook/lookups.ts';
import { createMetrics } from '../../webhook/metrics.ts';
import type { AdmissionResponse } from '../../webhook/protocol.ts';
import { createReviewer } from '../../webhook/reviewer.ts';
import type { Phase } from '../../webhook/reviewer.ts';
import { registerStateMetrics } from '../../webhook/state-metrics.ts';
import { objectOf, postgresSpec, profileSpec } from '../admission/objects.ts';
import { WatchProxy } from '../faults/watch-proxy.ts';
import { installCrds } from '../kollect/installation.ts';
import { kubeconfigOf, webhookAccount } from '../kollect/service-account.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';

const cluster = await startCluster();
t.teardown(() => cluster.stop());
await installCrds(cluster.kubectl);
const connection = await loadConnection({ kubeconfig: await webhookAccount(cluster) });
for (const name of ['team-a', 'team-b']) await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

async function apply(...items: object[]): Promise<void> {
  const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  if (code !== 0) throw new Error(stderr);
}

interface Asked {
  object: ReturnType<typeof objectOf>;
  old?: ReturnType<typeof objectOf>;
  phase?: Phase;
  user?: string;
  groups?: string[];
  withinMs?: number;
}

/** What the webhook does with the shipped rights, and a proxy before its API server. */
async function webhook(test: Test, options: { namespaces?: string[]; clusterKinds?: boolean; kubeconfig?: string; before?: (proxy: WatchProxy) => void } = {}) {
  const { token } = options.kubeconfig === undefined ? connection : await loadConnection({ kubeconfig: options.kubeconfig });
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  options.before?.(proxy);
  const client = new KubeClient({ ...connection, token, server: await proxy.start(), ca: undefined });
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ level: 'info', format: 'json', name: 'webhook', write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const metrics = createMetrics();
  const watched = new WatchedObjects({ client, namespaces: options.namespaces ?? [], clusterKinds: options.clusterKinds ?? true, log });
  const { asked } = registerStateMetrics(metrics.registry, watched);
  const reviewer = createReviewer({
    installation: { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: options.clusterKinds === false },
    state: watched,
    authorize: createAuthorizer({ client, discovery: new Discovery(client), asked }),
    lookupFailed: metrics.lookupFailed,
    log,
  });
  watched.start();
  test.teardown(async () => {
    await watched.stop();
    await client.close();
    await proxy.stop();
  });
  const review = ({ object, old, phase = 'validate', user = 'jane', groups = [], withinMs = 20_000 }: Asked): AdmissionResponse | Promise<AdmissionResponse> =>
    reviewer(phase, {
      uid: 'u',
      kind: { group: 'kollect.dev', version: 'v1alpha1', kind: object.kind },
      name: String(object.metadata.name),
      namespace: (object.metadata as { namespace?: string }).namespace ?? '',
      operation: old === undefined ? 'CREATE' : 'UPDATE',
      userInfo: { username: user, uid: '', groups: ['system:authenticated', ...groups], extra: {} },
      dryRun: false,
      object,
      oldObject: old ?? null,
      deadline: performance.now() + withinMs,
    });
  return { proxy, watched, review, lines, metrics: () => metrics.registry.metrics() };
}

const isDown = { match: () => true, fault: { kind: 'status', code: 503 }, times: Number.POSITIVE_INFINITY } as const;
const inventory = (spec: Record<string, unknown>) => objectOf('KollectInventory', spec);
const scope = (namespace: string, minExportInterval: string): KubeObject => ({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectScope', metadata: { name: 'team', namespace }, spec: { minExportInterval } });

t.test('before the first lists: what needs none is answered at once, the rest waits, is refused in time, and judged as soon as they are there', async (t) => {
  const { proxy, watched, review, metrics } = await webhook(t, { before: (proxy) => proxy.break(isDown) });
  await eventually(() => watched.notSynced?.includes('injected 503'));
  t.match(watched.notSynced, /^the lists of kollectclusterinventories, .*kollecttargets are not complete \(\w+: injected 503\)$/);
  t.match(await review({ object: inventory({ exportMinInterval: 'soon' }) }), { allowed: false, status: { code: 422 } });
  t.notOk(review({ object: objectOf('KollectConnectionTest', { sinkRef: { databaseSinkRef: 'pg' } }) }) instanceof Promise, 'advice is not waited for');
  t.notOk(review({ phase: 'mutate', object: inventory({ exportMinInterval: '1m' }) }) instanceof Promise, 'there is nothing to fill in');

  const started = performance.now();
  const late = await review({ object: inventory({ exportMinInterval: '1m' }), withinMs: 300 });
  t.ok(performance.now() - started >= 290, 'waits');
  t.match(late, { allowed: false, status: { code: 500, reason: 'InternalError', message: /^KollectInventory\.kollect\.dev "sample" could not be judged: .*does not know the other objects of the cluster yet: the lists of .*injected 503.*; try again$/ } });
  t.match(await review({ phase: 'mutate', object: inventory({}), withinMs: 10 }), { allowed: false, status: { code: 500 } }, 'an interval that nobody knows the floor of is not made up');
  t.match(await metrics(), /kollect_admission_lookup_failures_total\{lookup="state"\} 2/);

  proxy.heal();
  await watched.synced;
  t.equal(watched.notSynced, undefined);
  const atOnce = review({ object: inventory({ exportMinInterval: '1m' }) });
  t.notOk(atOnce instanceof Promise, 'from here on nobody waits');
  t.match(atOnce, { allowed: true });
});

t.test('a review that came too early is judged when the lists are complete', async (t) => {
  const held = Promise.withResolvers<undefined>();
  const { review } = await webhook(t, { before: (proxy) => proxy.break({ match: ({ pathname }) => pathname.endsWith('/kollectscopes'), fault: { kind: 'drip' }, before: () => held.promise }) });
  const answer = review({ object: inventory({ exportMinInterval: '1m' }) });
  t.ok(answer instanceof Promise);
  held.resolve(undefined);
  t.match(await answer, { allowed: true });
});

t.test('an outage: the last known state goes on being used, its age is told, and rights that cannot be asked for refuse what needs them', async (t) => {
  await apply(scope('team-a', '1h'));
  t.teardown(() => cluster.kubectl(['delete', 'kollectscope', 'team', '-n', 'team-a']));
  const { proxy, watched, review, lines, metrics } = await webhook(t);
  await watched.synced;
  t.equal(watched.ageSeconds, 0);
  proxy.break(isDown);
  proxy.cut();
  await eventually(() => watched.ageSeconds > 0);
  t.match(await review({ object: inventory({ exportMinInterval: '1m' }) }), { allowed: false, status: { code: 422, message: /at least 1h/ } });
  t.match(await review({ object: inventory({ exportMinInterval: '1h' }) }), { allowed: true });
  const elsewhere = postgresSpec({ exportMinInterval: '1h' });
  t.match(await review({ object: objectOf('KollectDatabaseSink', elsewhere), withinMs: 2000 }), { allowed: false, status: { code: 500, message: /the API server cannot be asked what "jane" may do: .*; try again$/ } });
  t.match(await review({ object: objectOf('KollectDatabaseSink', elsewhere), old: objectOf('KollectDatabaseSink', elsewhere) }), { allowed: true }, 'an update that changes nothing asks nobody');
  t.match(await metrics(), /kollect_admission_state_age_seconds\{resource="kollectscopes"\} (?!0$)/m);
  t.match(await metrics(), /kollect_admission_lookup_failures_total\{lookup="access"\} 1/);
  t.equal(lines.filter(({ msg }) => String(msg).includes('sends no news')).length, 1);

  await apply(scope('team-a', '1m'));
  proxy.heal();
  await eventually(async () => (await review({ object: inventory({ exportMinInterval: '1m' }) })).allowed, { what: 'news' });
  await eventually(() => watched.ageSeconds === 0);
  t.equal(lines.filter(({ msg }) => String(msg).includes('sends news again')).length, 1);
});

t.test('the API server itself goes and comes back', async (t) => {
  await apply(scope('team-b', '1h'));
  const { watched, review } = await webhook(t);
  await watched.synced;
  await cluster.apiserver.kill();
  const object = objectOf('KollectInventory', { exportMinInterval: '1m' }, { namespace: 'team-b' });
  t.match(await review({ object }), { allowed: false, status: { code: 422 } });
  await cluster.apiserver.start();
  await apply(scope('team-b', '1s'));
  await eventually(async () => (await review({ object })).allowed, { what: 'news' });
});

const rules = (namespace: string, name: string, ...granted: object[]) => [
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name, namespace }, rules: granted },
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name, namespace }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name }, subjects: [{ kind: 'User', name: 'jane' }, { kind: 'Group', name: 'readers' }] },
];

t.test('who writes an object must be allowed what Kollect will read for it', async (t) => {
  await apply(
    ...rules('team-b', 'reads-deployments', { apiGroups: ['apps'], resources: ['deployments'], verbs: ['list'] }),
    ...rules('kollect-system', 'reads-one', { apiGroups: [''], resources: ['secrets'], resourceNames: ['allowed'], verbs: ['get'] }, { apiGroups: ['kollect.dev'], resources: ['kollectdatabasesinks'], resourceNames: ['warehouse'], verbs: ['get'] }),
    objectOf('KollectProfile', profileSpec(['$.metadata.name']), { name: 'deployments' }),
    objectOf('KollectProfile', profileSpec(['$.metadata.name'], { targetGVK: { version: 'v1', kind: 'Namespace' } }), { name: 'namespaces' }),
    objectOf('KollectProfile', profileSpec(['$.metadata.name'], { targetGVK: { group: 'example.com', version: 'v1', kind: 'Widget' } }), { name: 'widgets' }),
    objectOf('KollectTarget', { profileRef: 'shared', includedNamespaces: ['team-b'] }, { name: 'reaches-out' }),
    objectOf('KollectTarget', { profileRef: 'ruled', includedNamespaces: ['team-b'], resourceRules: [{ gvk: { version: 'v1', kind: 'ConfigMap' } }] }, { name: 'reaches-further' }),
  );
  const { watched, review, proxy, metrics } = await webhook(t);
  await watched.synced;
  const asks = async (what: string, asked: Asked, expected: { field: string; says: RegExp } | undefined) => {
    const response = await review(asked);
    if (expected === undefined) return void t.match(response, { allowed: true }, `${what}: ${response.status?.message}`);
    t.match(response, { allowed: false, status: { code: 403, reason: 'Forbidden', message: expected.says, details: { causes: [{ field: expected.field }] } } }, `${what}: ${response.status?.message}`);
  };
  const sink = (name: string, namespace?: string, more: object = {}) => objectOf('KollectDatabaseSink', { type: 'postgres', connectionTest: true, postgres: { databaseRef: { name, ...(namespace === undefined ? {} : { namespace }) }, table: 't' }, ...more });
  const secretField = 'spec.postgres.databaseRef';
  await asks('a Secret of its own namespace', { object: sink('any') }, undefined);
  await asks('a Secret of its own namespace, named', { object: sink('any', 'team-a') }, undefined);
  await asks('a Secret that jane may read', { object: sink('allowed', 'kollect-system') }, undefined);
  await asks('a Secret that jane may not read', { object: sink('other', 'kollect-system') }, { field: secretField, says: /"jane" may not get secrets "other" in the namespace "kollect-system", which Kollect would do for this object; grant it by a Role and RoleBinding there \(get on secrets\)/ });
  await asks('by a group', { object: sink('allowed', 'kollect-system'), user: 'john', groups: ['readers'] }, undefined);
  await asks('not by another group', { object: sink('allowed', 'kollect-system'), user: 'john', groups: ['writers'] }, { field: secretField, says: /"john" may not/ });
  await asks('an administrator', { object: sink('other', 'kollect-system'), user: 'root', groups: ['system:masters'] }, undefined);
  await asks('how often, not where to', { object: sink('other', 'kollect-system', { exportMinInterval: '5m' }), old: sink('other', 'kollect-system') }, undefined);
  await asks('the same Secret, sent to another server', { object: sink('other', 'kollect-system', { tls: { insecureSkipVerify: true } }), old: sink('other', 'kollect-system') }, { field: secretField, says: /secrets "other"/ });
  await asks('the same Secret, written elsewhere in the repository', { object: sink('other', 'kollect-system', { pathTemplate: '.github/workflows/{namespace}-{name}.yml' }), old: sink('other', 'kollect-system') }, { field: secretField, says: /secrets "other"/ });
  await asks('one reference more', { object: sink('other', 'kollect-system', { tls: { caSecretRef: { name: 'ca', namespace: 'team-b' } } }), old: sink('other', 'kollect-system', { tls: { caSecretRef: { name: 'ca' } } }) }, { field: 'spec.tls.caSecretRef', says: /secrets "ca" in the namespace "team-b"/ });

  const target = (spec: object, name = 'sample') => objectOf('KollectTarget', spec, { name });
  await asks('its own namespace', { object: target({ profileRef: 'deployments' }) }, undefined);
  await asks('a namespace that jane may read', { object: target({ profileRef: 'deployments', includedNamespaces: ['team-a', 'team-b'] }) }, undefined);
  await asks('a namespace that jane may not read', { object: target({ profileRef: 'deployments', includedNamespaces: ['team-b', 'kollect-system'] }) }, { field: 'spec.includedNamespaces', says: /may not list deployments\.apps in the namespace "kollect-system"/ });
  await asks('all namespaces', { object: target({ profileRef: 'deployments', namespaceSelector: {} }) }, { field: 'spec.namespaceSelector', says: /list deployments\.apps on the whole cluster.*ClusterRole and ClusterRoleBinding.*includedNamespaces/ });
  await asks('a namespace more', { object: target({ profileRef: 'deployments', includedNamespaces: ['team-b', 'default', 'kube-public'] }), old: target({ profileRef: 'deployments', includedNamespaces: ['default'] }) }, { field: 'spec.includedNamespaces', says: /in the namespace "kube-public"/ });
  await asks('fewer namespaces', { object: target({ profileRef: 'deployments', includedNamespaces: ['default'] }), old: target({ profileRef: 'deployments', includedNamespaces: ['default', 'kube-public'] }) }, undefined);
  await asks('a cluster-scoped kind', { object: target({ profileRef: 'namespaces' }) }, { field: 'spec.profileRef', says: /list namespaces on the whole cluster/ });
  const rule = (kind: string, group = '') => ({ gvk: { group, version: 'v1', kind } });
  const ruled = (...resourceRules: object[]) => target({ profileRef: 'deployments', includedNamespaces: ['team-b'], resourceRules });
  await asks('a kind of a rule that jane may read', { object: ruled(rule('Deployment', 'apps')) }, undefined);
  await asks('a kind of a rule that jane may not read', { object: ruled(rule('Deployment', 'apps'), rule('ConfigMap')) }, { field: 'spec.resourceRules[1].gvk', says: /may not list configmaps in the namespace "team-b"/ });
  await asks('a kind of a rule, in its own namespace', { object: target({ profileRef: 'deployments', resourceRules: [rule('ConfigMap')] }) }, undefined);
  await asks('a cluster-scoped kind of a rule', { object: target({ profileRef: 'deployments', resourceRules: [rule('ClusterRole', 'rbac.authorization.k8s.io')] }) }, { field: 'spec.resourceRules[0].gvk', says: /list clusterroles\.rbac\.authorization\.k8s\.io on the whole cluster/ });
  await asks('a kind of a rule more', { object: ruled(rule('ConfigMap'), rule('Pod')), old: ruled(rule('ConfigMap')) }, { field: 'spec.resourceRules[1].gvk', says: /list pods in/ });
  await asks('a kind of a rule as before', { object: ruled(rule('ConfigMap')), old: ruled(rule('ConfigMap'), rule('Pod')) }, undefined);
  const everywhere = (...resourceRules: object[]) => objectOf('KollectClusterTarget', { profileRef: { name: 'deployments', namespace: 'team-a' }, namespaceSelector: { matchLabels: { a: 'b' } }, includedNamespaces: ['team-b'], resourceRules });
  await asks('a cluster target of a kind that jane may read', { object: everywhere(rule('Deployment', 'apps')) }, undefined);
  await asks('a cluster target of a kind that jane may not read', { object: everywhere(rule('Deployment', 'apps'), rule('Node')) }, { field: 'spec.resourceRules[1].gvk', says: /list nodes on the whole cluster/ });
  await asks('a kind that is not served, in its own namespace', { object: target({ profileRef: 'widgets' }) }, { field: 'spec.profileRef', says: /does not serve example\.com\/v1 Widget yet/ });
  await asks('a kind that is not served, elsewhere', { object: target({ profileRef: 'widgets', includedNamespaces: ['team-b'] }) }, { field: 'spec.includedNamespaces', says: /does not serve example\.com\/v1 Widget yet/ });
  await asks('a profile that is missing', { object: target({ profileRef: 'shared', namespaceSelector: {} }) }, undefined);
  await asks('a profile that comes after its targets, jane may read what they reach', { object: objectOf('KollectProfile', profileSpec(['$.metadata.name']), { name: 'shared' }) }, undefined);
  const secrets = profileSpec(['$.metadata.name'], { targetGVK: { version: 'v1', kind: 'Secret' } });
  await asks('a profile of another kind', { object: objectOf('KollectProfile', secrets, { name: 'shared' }), old: objectOf('KollectProfile', profileSpec(['$.metadata.name']), { name: 'shared' }) }, { field: 'spec.targetGVK', says: /list secrets in the namespace "team-b"/ });
  await asks('more of the same kind', { object: objectOf('KollectProfile', profileSpec(['$.metadata.name', '$.spec']), { name: 'shared' }), old: objectOf('KollectProfile', profileSpec(['$.metadata.name']), { name: 'shared' }), user: 'john' }, { field: 'spec.targetGVK', says: /"john" may not list deployments\.apps/ });
  await asks('a profile whose targets name another kind', { object: objectOf('KollectProfile', profileSpec(['$.data']), { name: 'ruled' }), old: objectOf('KollectProfile', profileSpec(['$.metadata.name']), { name: 'ruled' }) }, { field: 'spec', says: /list configmaps in the namespace "team-b"/ });
  await asks('a profile that no target uses', { object: objectOf('KollectProfile', secrets, { name: 'unused' }) }, undefined);

  const rollup = (...databaseSinkRefs: object[]) => objectOf('KollectClusterInventory', { namespaceSelector: {}, exportMinInterval: '30s', databaseSinkRefs });
  await asks('a sink that jane may read', { object: rollup({ name: 'warehouse' }) }, undefined);
  await asks('a sink that jane may not read', { object: rollup({ name: 'warehouse' }, { name: 'warehouse', namespace: 'team-b' }) }, { field: 'spec.databaseSinkRefs[1].name', says: /get kollectdatabasesinks\.kollect\.dev "warehouse" in the namespace "team-b"/ });

  const countReviews = () => proxy.requests.filter(({ url }) => url.pathname.endsWith('/subjectaccessreviews')).length;
  const before = countReviews();
  for (let time = 0; time < 20; time++) await review({ object: sink('allowed', 'kollect-system') });
  t.ok(countReviews() - before <= 1, 'answers are remembered');
  t.match(await metrics(), /kollect_admission_access_reviews_total\{result="denied"\} \d/);

  await apply(...rules('kollect-system', 'reads-one-more', { apiGroups: [''], resources: ['secrets'], resourceNames: ['other'], verbs: ['get'] }));
  await eventually(async () => (await review({ object: sink('other', 'kollect-system') })).allowed, { what: 'a right that was granted', intervalMs: 300 });
});

t.test('a team: only its namespace is watched, with rights there alone', async (t) => {
  const roles = rules('team-a', 'team-webhook', { apiGroups: ['kollect.dev'], resources: ['*'], verbs: ['list', 'watch'] });
  await apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'webhook', namespace: 'team-a' } }, roles[0]!, { ...roles[1], subjects: [{ kind: 'ServiceAccount', name: 'webhook', namespace: 'team-a' }] }, scope('team-a', '1h'));
  const { watched, review, proxy } = await webhook(t, { namespaces: ['team-a'], clusterKinds: false, kubeconfig: await kubeconfigOf(cluster, { namespace: 'team-a', serviceAccount: 'webhook' }) });
  await watched.synced;
  t.ok(proxy.requests.every(({ url }) => url.pathname.startsWith('/apis/kollect.dev/v1alpha1/namespaces/team-a/')), 'nothing else is asked for');
  t.match(await review({ object: inventory({ exportMinInterval: '1m' }) }), { allowed: false, status: { code: 422 } });
  t.match(await review({ object: objectOf('KollectInventory', { exportMinInterval: '1m' }, { namespace: 'team-b' }) }), { allowed: false, status: { code: 500, message: /does not watch the namespace "team-b": add it to --watch-namespaces/ } });
  t.match(await review({ object: objectOf('KollectClusterInventory', { namespaceSelector: {}, exportMinInterval: '1m' }) }), { allowed: false, status: { code: 403 } });
});
