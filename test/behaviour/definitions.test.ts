import t from 'tap';
import { postgresHost } from '../kollect/installation.ts';
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
  await says(/InformerRegistrationFailed.*knows no Gateway/);

  await kollect.apply(definition('gatewayz'));
  await kollect.kubectl(['wait', '--for=condition=Established', 'crd/gatewayz.shop.example', '--timeout=30s']);
  await kollect.eventually(async () => kollect.apply([gateway(namespace, 'a'), gateway(namespace, 'b')]));
  await storedIs('a b');

  await kollect.kubectl(['delete', 'crd', 'gatewayz.shop.example', '--timeout=60s']);
  await storedIs('');
  await says(/InformerRegistrationFailed.*there is no CustomResourceDefinition of Gateway/);

  await kollect.apply(definition('gatewai'));
  await kollect.kubectl(['wait', '--for=condition=Established', 'crd/gatewai.shop.example', '--timeout=30s']);
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
