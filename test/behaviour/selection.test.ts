import t from 'tap';
import { gvkKey } from '../../shared/api/gvk.ts';
import { controllerProcess } from '../kollect/installation.ts';
import { configMap, kollectObject, startCollecting } from './collecting.ts';

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

t.test('flags say how many namespaces are watched, and how often the others are listed', async () => {
  await controller.stop();
  const places = [await namespace(), await namespace(), await namespace()];
  const [home] = places as [string];
  await apply(profile(home), kollectObject('KollectTarget', home, 'several', { profileRef: 'maps', includedNamespaces: places }));
  const flags = [`--watch-namespaces=${places.join()}`, '--max-namespace-watches=1', '--namespace-poll-interval=1ms'];
  const process = await controllerProcess(cluster.keeper, { kubeconfig: cluster.kubeconfig, flags });
  await process.start();
  await untilReady(home, 'several', 'True Collecting', /from 3 namespace\(s\); listed every 1 s instead of watched, as there are more than --max-namespace-watches: configmaps in 2$/);
  await process.kill('SIGTERM');
});
