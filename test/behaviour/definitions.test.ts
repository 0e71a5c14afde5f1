import t from 'tap';
import { proxiedKubeconfig } from '../faults/proxied-kubeconfig.ts';
import { isList, WatchProxy } from '../faults/watch-proxy.ts';
import { postgresHost } from '../kollect/installation.ts';
import { untilEstablished } from '../servers/kubernetes/established.ts';
import { collecting, kollectObject, startController } from './collecting.ts';
import { startKollect } from './harness.ts';
import { pipeline } from './objects.ts';

const kollect = await startKollect({ test: t });

/** With a plural that no rule of English gives. */
const definition = (plural: string) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.shop.example` },
  spec: {
    group: 'shop.example',
    scope: 'Namespaced',
    names: { kind: 'Gateway', listKind: 'GatewayList', plural, singular: plural },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }],
  },
});
const gateway = (namespace: string, name: string) => ({ apiVersion: 'shop.example/v1', kind: 'Gateway', metadata: { name, namespace }, spec: { replicas: 1 } });

t.test('a kind that appears is collected, one that is served under another name is followed, and one that is gone takes its rows along', async (t) => {
  const namespace = await kollect.namespace();
  await kollect.apply(pipeline({ namespace, dsn: kollect.dsn, targetGVK: { group: 'shop.example', version: 'v1', kind: 'Gateway' }, attributes: [{ name: 'replicas', path: '$.spec.replicas' }] }));
  const ready = async (): Promise<string> => {
    const target = await kollect.get('kollecttarget', 'web', namespace);
    const conditions = (target?.status?.['conditions'] ?? []) as { type: string; status: string; reason: string; message: string }[];
    return conditions.filter(({ type }) => type === 'Ready').map(({ status, reason, message }) => `${status} ${reason} ${message}`)[0] ?? 'none';
  };
  const stored = async (): Promise<string> =>
    (await kollect.psql<{ name: string }>(`SELECT payload->>'name' AS name FROM inventory_items WHERE inventory_namespace = '${namespace}' ORDER BY 1`))
      .map(({ name }) => name)
      .join(' ');
  const storedIs = (expected: string): Promise<unknown> =>
    kollect.eventually(async () => {
      const found = await stored();
      if (found !== expected) throw new Error(`"${found}", target ${await ready()}`);
      return true;
    });
  const says = (expected: RegExp): Promise<unknown> =>
    kollect.eventually(async () => {
      const found = await ready();
      if (!expected.test(found)) throw new Error(found);
      return true;
    });
  const inventorySays = (expected: string): Promise<unknown> =>
    kollect.eventually(async () => {
      const inventory = await kollect.get('kollectinventory', 'inventory', namespace);
      const found = ((inventory?.status?.['conditions'] ?? []) as { type: string; status: string; reason: string; message: string }[]).map(({ type, status, reason, message }) => `${type}=${status} ${reason}: ${message}`);
      if (!found.some((line) => line.startsWith(expected))) throw new Error(found.join('\n'));
      return true;
    });
  await says(/InformerRegistrationFailed.*knows no Gateway/);
  const noKind = 'Degraded=True TargetDegraded: target(s) web (InformerRegistrationFailed) are not ready';
  await inventorySays(noKind);

  await kollect.apply(definition('gatewayz'));
  await untilEstablished(kollect.kubectl, ['gatewayz.shop.example']);
  await kollect.eventually(async () => kollect.apply([gateway(namespace, 'a'), gateway(namespace, 'b')]));
  await storedIs('a b');
  await inventorySays('Ready=True Exported');

  await kollect.kubectl(['delete', 'crd', 'gatewayz.shop.example', '--timeout=60s']);
  await storedIs('');
  await says(/InformerRegistrationFailed.*there is no CustomResourceDefinition of Gateway/);
  await inventorySays(noKind);

  await kollect.apply(definition('gatewai'));
  await untilEstablished(kollect.kubectl, ['gatewai.shop.example']);
  // Raw, because kubectl still remembers the first name.
  const create = ['create', '--raw', `/apis/shop.example/v1/namespaces/${namespace}/gatewai`, '-f', '-'];
  await kollect.eventually(async () => (await kollect.kubectl(create, { stdin: JSON.stringify(gateway(namespace, 'c')) })).code === 0);
  await storedIs('c');
  // Rows may be stored before status says so.
  await says(/True Collecting collecting gatewai\.shop\.example/);

  // Nobody sees the definition go.
  await kollect.controller.kill('SIGTERM');
  await kollect.kubectl(['delete', 'crd', 'gatewai.shop.example', '--timeout=60s']);
  await kollect.controller.start();
  await says(/InformerRegistrationFailed.*knows no Gateway/);
  t.equal(await stored(), 'c', 'that a kind is missing proves nothing');
  await kollect.controller.kill('SIGTERM');
  await kollect.controller.start([
    `--kubeconfig=${kollect.cluster.kubeconfig}`,
    '--allow-loopback-sinks',
    `--map-host=${postgresHost(kollect.postgres.port)}`,
    '--denial-grace=1s',
  ]);
  await storedIs('');
  await says(/InformerRegistrationFailed.*there is no CustomResourceDefinition of Gateway/);
});

t.test('a kind that is not served is gone only when it is known to have no definition', async (t) => {
  await kollect.controller.kill();
  const { cluster } = kollect;
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  t.teardown(() => proxy.stop());
  const kubeconfig = proxiedKubeconfig(cluster, await proxy.start(), { token: cluster.adminToken });
  const namespace = await kollect.namespace();
  const kinds = { group: 'shop.example', kind: 'Gateway' };
  const names = { kind: 'Gateway', listKind: 'GatewayList', plural: 'gateways', singular: 'gateway' };
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const versions = ['v1', 'v2'].map((name) => ({ name, served: name === 'v2', storage: name === 'v2', schema }));
  const graceMs = 300;
  const settings = { kubeconfig, denialGraceMs: graceMs, watchNamespaces: [namespace] };
  const target = (name: string): object => kollectObject('KollectTarget', namespace, name, { profileRef: 'gateways' });
  /** What a target says for which nothing but the next look is needed. */
  const outcome = async (run: ReturnType<typeof collecting>, name: string): Promise<string> => {
    await run.untilReady(namespace, name, 'False InformerRegistrationFailed');
    await new Promise((resolve) => setTimeout(resolve, 2 * graceMs));
    await kollect.kubectl(['patch', 'ktgt', name, '-n', namespace, '--type=merge', '-p', '{"spec":{"excludedNamespaces":["other"]}}']);
    return run.untilReady(namespace, name, 'False InformerRegistrationFailed');
  };
  await kollect.apply([kollectObject('KollectProfile', namespace, 'gateways', { targetGVK: { ...kinds, version: 'v1' }, attributes: [{ name: 'a', path: '$.a' }] }), target('unreadable')]);

  proxy.break({ match: (url) => isList(url) && url.pathname.endsWith('/customresourcedefinitions'), fault: { kind: 'status', code: 403 }, times: Infinity });
  const blind = collecting(cluster, await startController(t, cluster, settings));
  t.match(await outcome(blind, 'unreadable'), /knows no Gateway/, 'definitions that cannot be read prove nothing');
  await blind.controller.stop();
  proxy.heal();

  await kollect.apply([{ ...definition('gateways'), spec: { group: kinds.group, scope: 'Namespaced', names, versions } }, target('other-version')]);
  await untilEstablished(kollect.kubectl, ['gateways.shop.example']);
  const seeing = collecting(cluster, await startController(t, cluster, settings));
  t.match(await outcome(seeing, 'other-version'), /knows no Gateway/, 'it is defined, in another version');
  await seeing.controller.stop();

  await kollect.kubectl(['delete', 'crd', 'gateways.shop.example', '--timeout=60s']);
  await kollect.apply(target('undefined'));
  const after = collecting(cluster, await startController(t, cluster, settings));
  t.match(await outcome(after, 'undefined'), /there is no CustomResourceDefinition of Gateway/);
  await after.controller.stop();
});
