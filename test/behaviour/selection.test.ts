import t from 'tap';
import { parse } from 'yaml';
import { gvkKey } from '../../shared/api/gvk.ts';
import { controllerProcess } from '../kollect/installation.ts';
import { kubeconfigOf, untilGranted } from '../kollect/service-account.ts';
import { configMap, kollectObject, startCollecting } from './collecting.ts';
import { blocks } from './document-blocks.ts';

// What is selected follows what changes, and the status says so. What is selected at all is in examples.test.ts.

const { apply, cluster, controller, namespace, names, untilNames, untilReady, target } = await startCollecting(t);
const profile = (home: string): object => kollectObject('KollectProfile', home, 'maps', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'size', path: '$.data.size' }] });

t.test('labels and consent that change', async () => {
  const [home, other] = [await namespace({ team: 'home' }), await namespace()];
  const relabelled = (name: string, labels: Record<string, string>): object => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  await apply(
    profile(home),
    ...[home, other].map((place) => configMap(place, 'x')),
    configMap(other, 'on', { labels: { 'kollect.dev/watch': 'enabled' } }),
    kollectObject('KollectTarget', home, 'platform', { profileRef: 'maps', namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['home', 'platform'] }] } }),
  );
  await untilNames(home, 'platform', [`${home}/x`]);
  await apply(relabelled(other, { team: 'platform' }));
  await untilNames(home, 'platform', [`${home}/x`, `${other}/x`, `${other}/on`]);
  await apply(relabelled(home, { team: 'none' }), configMap(other, 'x', { labels: { 'kollect.dev/watch': 'disabled' } }));
  await untilNames(home, 'platform', [`${other}/on`]);
  await apply(relabelled(home, { team: 'home', 'kollect.dev/watch': 'disabled' }), configMap(other, 'x'));
  await untilNames(home, 'platform', [`${other}/x`, `${other}/on`]);
  await apply(relabelled(home, { team: 'home' }));
  await untilNames(home, 'platform', [`${home}/x`, `${other}/x`, `${other}/on`]);
});

t.test('status of a target, whole', async (t) => {
  const home = await namespace();
  const rule = { gvk: { version: 'v1', kind: 'ConfigMap' }, matchPolicy: '!has(object.data.size)' };
  await apply(profile(home), configMap(home, 'void', { data: { other: 'y' } }), configMap(home, 'x'), kollectObject('KollectTarget', home, 'sizes', { profileRef: 'maps', resourceRules: [rule] }));
  await untilNames(home, 'sizes', [`${home}/void`]);
  await untilReady(home, 'sizes', 'True Collecting');
  const { status } = await target(home, 'sizes');
  const conditions = status?.conditions?.map(({ type, status: value, reason, message, observedGeneration }) => ({ type, status: value, reason, message, observedGeneration }));
  const message = 'collecting configmaps from 1 namespace(s)';
  t.strictSame(conditions, [
    { type: 'Ready', status: 'True', reason: 'Collecting', message, observedGeneration: 1 },
    { type: 'Synced', status: 'True', reason: 'PartialExtraction', message: 'some attributes could not be extracted and are null; see extractionFailures and lastExtractionError', observedGeneration: 1 },
    { type: 'Degraded', status: 'False', reason: 'Collecting', message, observedGeneration: 1 },
    { type: 'SinkReachable', status: 'True', reason: 'NoSinksInNamespace', message: 'no KollectInventory of the namespace names a sink', observedGeneration: 1 },
  ]);
  t.match(status, { activeResourceRules: 1, extractionFailures: 1, lastExtractionError: 'attribute "size": no value', effectiveNamespaces: [home], matchedNamespaces: [home] });
});

t.test('the annotation lists everything once more for each new value', async (t) => {
  const home = await namespace();
  await apply(profile(home), configMap(home, 'x'), kollectObject('KollectTarget', home, 'all', { profileRef: 'maps' }));
  await untilNames(home, 'all', [`${home}/x`]);
  await untilReady(home, 'all', 'True Collecting');
  // As if a watch had missed it.
  const loseRow = (): void => {
    const rows = controller.rows.get(home, 'all')!;
    for (const uid of Array.from(rows.rows(), (row) => row.uid)) rows.resource(gvkKey({ version: 'v1', kind: 'ConfigMap' })).remove(home, uid);
  };
  for (const value of ['one', 'two']) {
    loseRow();
    t.strictSame(names(home, 'all'), []);
    await cluster.kubectl(['annotate', 'ktgt/all', '-n', home, '--overwrite', `kollect.dev/reconcile=${value}`]);
    await untilNames(home, 'all', [`${home}/x`]);
  }
});

t.test('an installation for some namespaces needs no rights to others, and its flags say how many of them it watches', async () => {
  await controller.stop();
  const places = ['team-a', 'team-b'];
  const [role = '', , namespacesRole = ''] = blocks('docs/operations.md', 'yaml');
  const subjects = [{ kind: 'ServiceAccount', name: 'kollect-controller', namespace: 'team-a' }];
  const binding = (kind: string, namespace?: string, name = 'kollect-controller'): object => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { name, namespace },
    subjects,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
  });
  await apply(...places.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })));
  await apply(
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'kollect-controller', namespace: 'team-a' } },
    ...[role, namespacesRole].map((text) => parse(text) as object),
    ...places.map((place) => binding('RoleBinding', place)),
    binding('ClusterRoleBinding', undefined, 'kollect-controller-namespaces'),
    kollectObject('KollectProfile', 'team-a', 'names', { targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' }, attributes: [{ name: 'name', path: '$.metadata.name' }] }),
    kollectObject('KollectTarget', 'team-a', 'several', { profileRef: 'names', namespaceSelector: {} }),
  );
  const kubeconfig = await kubeconfigOf(cluster, { namespace: 'team-a', serviceAccount: 'kollect-controller' });
  for (const place of places) await untilGranted(cluster, kubeconfig, { verb: 'list', resource: 'deployments.apps', namespace: place });
  const flags = ['--tenant-mode', `--watch-namespaces=${places.join()}`, '--max-namespace-watches=1', '--namespace-poll-interval=1ms'];
  const process = await controllerProcess(cluster.keeper, { kubeconfig, flags });
  await process.start();
  await untilReady('team-a', 'several', 'True Collecting', /from 2 namespace\(s\); listed every 1 s instead of watched, as there are more than --max-namespace-watches: deployments.apps in 1$/);
  // What is in a namespace and what is said of it are followed.
  await apply(kollectObject('KollectTarget', 'team-b', 'late', { profileRef: 'names' }), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-b', labels: { late: 'yes' } } });
  await untilReady('team-b', 'late', 'False ProfileNotFound');
  await apply(kollectObject('KollectTarget', 'team-a', 'several', { profileRef: 'names', namespaceSelector: { matchLabels: { late: 'yes' } } }));
  await untilReady('team-a', 'several', 'True Collecting', /from 1 namespace\(s\)/);
  await process.kill('SIGTERM');
});
