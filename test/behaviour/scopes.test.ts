import t from 'tap';
import { collecting, configMap, kollectObject, startCollecting, startController } from './collecting.ts';

// ConfigMaps named `x`; the API server puts a ConfigMap of its own into no namespace here, since no controller manager runs.
const running = await startCollecting(t);
const { apply, namespace, names, target, untilNames, untilReady } = running;

const profile = (home: string): object =>
  kollectObject('KollectProfile', home, 'maps', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'size', path: '$.data.size' }] });
const targetOf = (home: string, spec: object = {}): object => kollectObject('KollectTarget', home, 'maps', { profileRef: 'maps', ...spec });
const scope = (home: string, name: string, spec: object): object => kollectObject('KollectScope', home, name, spec);

/** Two namespaces with a label of their own and a ConfigMap each; profile and target in the first. */
async function pair(): Promise<{ home: string; other: string; selector: object }> {
  const home = await namespace();
  const other = await namespace({ pair: home });
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: home, labels: { pair: home } } });
  await apply(profile(home), configMap(home, 'x'), configMap(other, 'x'));
  return { home, other, selector: { namespaceSelector: { matchLabels: { pair: home } } } };
}

t.test('what a scope leaves out is not collected, from the moment it says so', async (t) => {
  const { home, other, selector } = await pair();
  await apply(targetOf(home, selector));
  await untilNames(home, 'maps', [`${home}/x`, `${other}/x`]);

  await apply(scope(home, 'team', { allowedNamespaces: [home] }));
  await untilNames(home, 'maps', [`${home}/x`]);
  await untilReady(home, 'maps', 'True Collecting', /^collecting configmaps from 1 namespace\(s\); KollectScope "team" leaves out 1 more$/);
  const { status } = await target(home, 'maps');
  t.strictSame(status?.matchedNamespaces, [home, other].sort());
  t.strictSame(status?.effectiveNamespaces, [home]);

  await apply(scope(home, 'team', { deniedNamespaces: [home] }));
  await untilNames(home, 'maps', [`${other}/x`]);
  await apply(scope(home, 'team', { allowedNamespaces: ['nowhere'] }));
  await untilNames(home, 'maps', []);
  // Nothing left is nothing collected.
  await untilReady(home, 'maps', 'True Collecting', /from 0 namespace/);
  await running.remove('kollectscope', 'team', home);
  await untilNames(home, 'maps', [`${home}/x`, `${other}/x`]);
});

t.test('of several scopes the first by name holds', async () => {
  const { home, other, selector } = await pair();
  await apply(scope(home, 'b', { allowedNamespaces: [home] }), targetOf(home, selector));
  await untilNames(home, 'maps', [`${home}/x`]);
  await apply(scope(home, 'a', { allowedNamespaces: [other] }));
  await untilNames(home, 'maps', [`${other}/x`]);
  await running.remove('kollectscope', 'a', home);
  await untilNames(home, 'maps', [`${home}/x`]);
});

t.test('the lower of the limits of scope and target holds, and lifting it brings what was left out', async (t) => {
  const { home } = await pair();
  await apply(configMap(home, 'y'), configMap(home, 'z'), scope(home, 'team', { limits: { maxRows: 2 } }), targetOf(home, { limits: { maxRows: 10 } }));
  t.match(await untilReady(home, 'maps', 'False QuotaExceeded'), /2 of at most 2 rows, and 1 object\(s\) are left out/);
  t.equal(names(home, 'maps').length, 2);
  await apply(scope(home, 'team', { limits: { maxRows: 20 } }));
  await untilNames(home, 'maps', [`${home}/x`, `${home}/y`, `${home}/z`]);
  await untilReady(home, 'maps', 'True Collecting');
});

t.test('a kind that the scope does not allow takes the rows along, and they come back with it', async (t) => {
  const { home } = await pair();
  await apply(targetOf(home));
  await untilNames(home, 'maps', [`${home}/x`]);
  await apply(scope(home, 'team', { allowedGVKs: [{ group: 'apps', version: 'v1', kind: 'Deployment' }] }));
  t.match(await untilReady(home, 'maps', 'False ScopeGVKDenied'), /v1 ConfigMap is not among the allowedGVKs of KollectScope "team": apps\/v1 Deployment/);
  await untilNames(home, 'maps', []);
  t.equal((await target(home, 'maps')).status?.collectedCount, 0);
  await apply(scope(home, 'team', { allowedGVKs: [{ group: '', version: 'v1', kind: 'configmap' }] }));
  await untilReady(home, 'maps', 'True Collecting');
  await untilNames(home, 'maps', [`${home}/x`]);
});

t.test('a target that does not collect keeps its rows, but not those that a scope denies', async (t) => {
  const interruptions = {
    Suspended: (home: string, selector: object) => apply(targetOf(home, { ...selector, suspend: true })),
    ProfileNotFound: (home: string) => running.remove('kollectprofile', 'maps', home),
    InvalidSpec: (home: string, selector: object) => apply(targetOf(home, { ...selector, resourceRules: [{ gvk: { version: 'v1', kind: 'ConfigMap' }, matchPolicy: 'object.' }] })),
  };
  await Promise.all(
    Object.entries(interruptions).map(async ([reason, interrupt]) => {
      const { home, other, selector } = await pair();
      await apply(targetOf(home, selector));
      await untilNames(home, 'maps', [`${home}/x`, `${other}/x`]);
      await interrupt(home, selector);
      await untilReady(home, 'maps', `False ${reason}`);
      await running.remove('configmap', 'x', home);
      t.strictSame(names(home, 'maps'), [`${home}/x`, `${other}/x`].sort(), reason);
      await apply(scope(home, 'team', { deniedNamespaces: [other] }));
      await untilNames(home, 'maps', [`${home}/x`]);
      await apply(scope(home, 'team', { allowedGVKs: [{ group: 'apps', version: 'v1', kind: 'Deployment' }] }));
      await untilNames(home, 'maps', []);
      await untilReady(home, 'maps', `False ${reason === 'Suspended' ? 'ScopeGVKDenied' : reason}`);
    }),
  );
});

t.test('a target that is deleted leaves nothing', async (t) => {
  const { home } = await pair();
  await apply(targetOf(home));
  await untilNames(home, 'maps', [`${home}/x`]);
  t.strictSame((await target(home, 'maps')).metadata.finalizers, ['kollect.dev/target-cleanup']);
  await running.remove('kollecttarget', 'maps', home);
  t.equal(running.controller.rows.get(home, 'maps'), undefined);
});

t.test('flags of the installation', async (t) => {
  const { home, other, selector } = await pair();
  const third = await namespace({ pair: home });
  await apply(configMap(third, 'x'), targetOf(home, selector), kollectObject('KollectTarget', home, 'own', { profileRef: 'maps' }));
  await untilNames(home, 'maps', [`${home}/x`, `${other}/x`, `${third}/x`]);
  const withFlags = async (settings: Parameters<typeof startController>[2]) => collecting(running.cluster, await startController(t, running.cluster, settings));

  const defaults = await withFlags({ namespaceDefaults: { included: [other, third], excluded: [third] }, tenantMode: true });
  await defaults.untilNames(home, 'maps', [`${other}/x`]);
  await defaults.untilNames(home, 'own', [`${home}/x`]);
  await defaults.controller.stop();

  const watching = await withFlags({ watchNamespaces: [home, third], tenantMode: true });
  await watching.untilNames(home, 'maps', [`${home}/x`, `${third}/x`]);
  t.strictSame([...watching.controller.rows.targets()].filter(({ namespace }) => namespace !== home), [], 'targets elsewhere are left alone');
  await watching.controller.stop();

  await apply(
    kollectObject('KollectProfile', home, 'keys', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'data', path: '$.data' }] }),
    kollectObject('KollectTarget', home, 'keys', { profileRef: 'keys' }),
  );
  const scrubbing = await withFlags({ scrubKeys: ['size'], tenantMode: true });
  await scrubbing.untilNames(home, 'keys', [`${home}/x`]);
  t.strictSame(scrubbing.payloads(home, 'keys').map(({ attributes }) => attributes), [{ data: { size: { redacted: true, reason: 'sensitive-key' } } }]);
  await scrubbing.controller.stop();
});

t.test('as long as scopes cannot be read, what they may bound is frozen', async (t) => {
  const { home } = await pair();
  await apply(targetOf(home));
  await untilNames(home, 'maps', [`${home}/x`]);
  await running.controller.stop();
  const { cluster } = running;
  await running.remove('crd', 'kollectscopes.kollect.dev');
  const blind = collecting(cluster, await startController(t, cluster));
  t.match(await blind.untilReady(home, 'maps', 'False ScopeLookupFailed'), /could not be read/);
  t.strictSame(blind.names(home, 'maps'), []);
  await cluster.kubectl(['apply', '--server-side', '-f', 'manifests/crds/kollect.dev_kollectscopes.yaml']);
  await blind.untilReady(home, 'maps', 'True Collecting');
  await blind.untilNames(home, 'maps', [`${home}/x`]);
  await blind.controller.stop();
});
