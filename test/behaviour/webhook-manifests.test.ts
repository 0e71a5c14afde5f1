import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { kinds } from '../../shared/api/kinds.ts';
import { parseFlags } from '../../shared/flags.ts';
import { webhookFlags } from '../../webhook/flags.ts';
import { deployWebhook, endpointRouting } from '../kollect/deployed-webhook.ts';
import { crdNames, installCrds, webhookProcess } from '../kollect/installation.ts';
import { isCalled, registerWebhook } from '../kollect/registration.ts';
import { untilGranted, webhookAccount } from '../kollect/service-account.ts';
import { webhookManifests } from '../kollect/webhook-manifests.ts';
import { start as startCertManager } from '../servers/cert-manager/index.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { blocks, commands } from './document-blocks.ts';
import { administratorOf, shell } from './shell.ts';

// The manifests of the webhook as they are shipped: they agree with the process and with each other, the API server takes them, and they work.

const root = join(import.meta.dirname, '..', '..');
const page = 'docs/webhook-certificates.md';
const cluster = await startCluster({ apiserverFlags: [endpointRouting] });
t.teardown(() => cluster.stop());
const { kubectl } = cluster;
await Promise.all([installCrds(kubectl), startCertManager({ kubeconfig: cluster.kubeconfig, kubectl, keeper: cluster.keeper })]);
const administrator = administratorOf(cluster);

// A copy of what the commands of the page read and write.
const copy = t.testdir();
cpSync(join(root, 'manifests'), join(copy, 'manifests'), { recursive: true });
symlinkSync(join(root, 'certs'), join(copy, 'certs'));

const platform = { name: 'of a platform', folder: join(copy, 'manifests', 'webhook'), namespace: 'kollect-system' };
const team = { name: 'of a team', folder: join(copy, 'manifests', 'overlays', 'webhook-team'), namespace: 'team-a' };
const ownCertificate = { name: 'without cert-manager', folder: join(copy, 'manifests', 'overlays', 'webhook-own-certificate'), namespace: 'kollect-system' };

for (const { namespace } of [platform, team]) {
  await run(['create', 'namespace', namespace]);
  await run(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted', 'pod-security.kubernetes.io/warn=restricted']);
}
await run(['create', 'namespace', 'elsewhere']);
await follow('Your own authority', (command) => command.startsWith('node '));

for (const { name, folder, namespace } of [platform, team, ownCertificate]) {
  t.test(`the installation ${name}`, async (t) => {
    const { objects, deployment, service, podDisruptionBudget, networkPolicy, rules, webhooks } = await webhookManifests(cluster, folder);
    const pod = deployment.spec.template;
    const [container] = pod.spec.containers;
    const flags = parseFlags(webhookFlags, container.args, { usage: 'webhook' });

    await t.test('listens where it is looked for', async (t) => {
      const ports = new Map(container.ports.map((port) => [port.name, port.containerPort]));
      t.same(Object.fromEntries(ports), { 'webhook-server': flags.port, health: flags['health-probe-bind-address']?.port, metrics: flags['metrics-bind-address']?.port });
      t.match(service.spec.ports[0], { port: 443, targetPort: 'webhook-server' });
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) t.match(container[probe].httpGet, { port: 'health', path: probe === 'readinessProbe' ? '/readyz' : '/healthz' });
      t.same(networkPolicy.spec.ingress.map(({ ports: [{ port }] }) => port), [ports.get('webhook-server'), ports.get('metrics')]);
      for (const { clientConfig } of webhooks) t.match(clientConfig.service, { name: service.metadata.name, namespace });
    });

    await t.test('stays available', async (t) => {
      t.ok(deployment.spec.replicas >= 2);
      t.ok(podDisruptionBudget.spec.minAvailable < deployment.spec.replicas, 'a node can be drained');
      const source = readFileSync(join(root, 'webhook', 'main.ts'), 'utf8');
      const drainMs = Number(/^const drainMs = ([\d_]+);$/m.exec(source)?.[1]?.replaceAll('_', ''));
      t.ok(pod.spec.terminationGracePeriodSeconds * 1000 > flags['shutdown-delay'] + drainMs, 'requests under way are finished');
      const selectors = [deployment.spec.selector, podDisruptionBudget.spec.selector, networkPolicy.spec.podSelector, ...pod.spec.topologySpreadConstraints.map(({ labelSelector }) => labelSelector)];
      for (const selector of [service.spec.selector, ...selectors.map(({ matchLabels }) => matchLabels)]) {
        t.same(selector, pod.metadata.labels, 'these pods and no others');
      }
    });

    await t.test('is taken by the API server, in a namespace that restricts pods', async (t) => {
      const list = { apiVersion: 'v1', kind: 'List', items: objects };
      t.match(await apply(list, '--dry-run=server'), { code: 0, stderr: '' });
      const podOf = (podSpec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { ...pod.metadata, name: 'pod', namespace }, spec: podSpec });
      t.match(await apply(podOf(pod.spec), '--dry-run=server'), { code: 0, stderr: '' });
      t.match(await apply(podOf({ ...pod.spec, securityContext: {} }), '--dry-run=server'), { code: 1, stderr: /violates PodSecurity/ }, 'nothing else is');
    });

    await t.test('reads no Secret and changes nothing', async (t) => {
      for (const { apiGroups, resources, verbs } of rules) {
        const asks = apiGroups.join() === 'authorization.k8s.io' && resources.join() === 'subjectaccessreviews' && verbs.join() === 'create';
        t.ok(asks || (apiGroups.join() === 'kollect.dev' && verbs.join() === 'list,watch'), JSON.stringify({ apiGroups, resources, verbs }));
      }
    });
  });
}

t.test('a team is asked about its own objects alone', async (t) => {
  const clusterKinds = new Set(kinds.filter(({ scope }) => scope === 'Cluster').map(({ plural }) => plural));
  const { objects, webhooks } = await webhookManifests(cluster, team.folder);
  for (const { name, namespaceSelector, rules } of webhooks) {
    t.same(namespaceSelector, { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['team-a'] }] }, name);
    t.notOk(rules.some(({ resources }) => resources.some((resource) => clusterKinds.has(resource))), name);
  }
  t.equal(webhooks.filter(({ name }) => name.startsWith('v')).length, kinds.length - clusterKinds.size);
  const taken = new Set((await webhookManifests(cluster, platform.folder)).objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
  t.same(objects.filter(({ kind, metadata }) => taken.has(`${kind} ${metadata.name}`)), [], 'no name is that of an object of the platform');

  // A second namespace, as the page says.
  edit(join(team.folder, 'watched-namespaces.yaml'), 'values: [team-a]', 'values: [team-a, team-a-dev]');
  edit(join(team.folder, 'kustomization.yaml'), '--watch-namespaces=team-a', '--watch-namespaces=team-a,team-a-dev');
  await follow('A webhook of one team', (command) => command !== 'kubectl create namespace team-a');
  const deployed = await deployWebhook(cluster, team.folder);
  t.teardown(deployed.stop);
  for (const namespace of ['team-a', 'team-a-dev']) {
    await eventually(() => isCalled(kubectl, namespace), { what: `calls of the webhook of the team for ${namespace}` });
    t.match(await apply(inventory(namespace, 'not/a/name')), { code: 1, stderr: /spec\.databaseSinkRefs\[0\]/ }, namespace);
  }
  t.match(await apply(inventory('elsewhere', 'not/a/name')), { code: 0 }, 'elsewhere it is not asked');
  await run(['apply', '-f', '-'], { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectScope', metadata: { name: 'scope', namespace: 'team-a' }, spec: { minExportInterval: '10m' } });
  const dryRun = () => kubectl(['create', '--dry-run=server', '--output=jsonpath={.spec.exportMinInterval}', '-f', '-'], { stdin: JSON.stringify(inventory('team-a', 'pg')) });
  await eventually(async () => (await dryRun()).stdout === '10m', { what: 'the floor of a scope of its namespace' });
  for (const replica of deployed.replicas) t.notMatch(replica.logs(), /forbidden/i, 'no right is missing');
});

t.test('a certificate of an own authority is served and trusted, beside the installation of a team', async (t) => {
  await follow('Your own authority', (command) => command.startsWith('kubectl '));
  const deployed = await deployWebhook(cluster, ownCertificate.folder);
  t.teardown(deployed.stop);
  await eventually(() => isCalled(kubectl), { what: 'calls of the webhook' });
  t.match(await apply(inventory('elsewhere', 'no/name/either')), { code: 1, stderr: /spec\.databaseSinkRefs\[0\]/ });
  t.match(await apply(inventory('team-a', 'pg')), { code: 0, stderr: '' }, 'both are asked');
  for (const replica of deployed.replicas) t.notMatch(replica.logs(), /forbidden/i, 'no right is missing');
  await run(['delete', '-k', ownCertificate.folder]);
});

t.test('each right that is granted is needed, and no other', async (t) => {
  const { rules } = await webhookManifests(cluster, platform.folder);
  const granted = rules.flatMap(({ apiGroups: [group], resources, verbs }) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}.${group}`)));
  const kubeconfig = await webhookAccount(cluster);
  const webhook = await webhookProcess(cluster.keeper, { kubeconfig });
  const grant = async (wanted: (verb: string, group: string) => boolean) => {
    await run(['apply', '-f', '-'], {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'kollect-webhook' },
      rules: rules.flatMap((rule) => [{ ...rule, verbs: rule.verbs.filter((verb) => wanted(verb, rule.apiGroups[0])) }]).filter(({ verbs }) => verbs.length > 0),
    });
    for (const right of ['list kollectscopes.kollect.dev', 'watch kollectscopes.kollect.dev', 'create subjectaccessreviews.authorization.k8s.io']) {
      const [verb = '', resource = ''] = right.split(' ');
      await untilGranted(cluster, kubeconfig, { verb, resource }, wanted(verb, resource.slice(resource.indexOf('.') + 1)));
    }
  };
  /** What the process is refused, from a start with these rights on. */
  const missing = async (count: number, ask: () => Promise<unknown> = async () => {}) => {
    const before = webhook.logs().length;
    const started = webhook.start().catch(() => {});
    const refused = await eventually(async () => {
      await ask();
      const found = new Set([...webhook.logs().slice(before).matchAll(/cannot (\w+) resource \\"(\w+)\\" in API group \\"([\w.]+)\\"/g)].map(([, verb, resource, group]) => `${verb} ${resource}.${group}`));
      return found.size >= count && found;
    }, { what: `${count} rights that are missing` });
    await webhook.kill();
    await started;
    return [...refused];
  };
  const elsewhere = { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectDatabaseSink', metadata: { name: 'elsewhere', namespace: 'default' }, spec: { type: 'postgres', cluster: 'test', postgres: { databaseRef: { name: 'dsn', namespace: 'team-a' }, table: 'rows' } } };

  await grant(() => false);
  const lists = await missing(crdNames.length - 1);
  await grant((verb) => verb === 'list');
  const watches = await missing(crdNames.length - 1);
  await grant((_, group) => group === 'kollect.dev');
  await webhook.start();
  await registerWebhook(kubectl, webhook);
  await webhook.kill();
  const asked = await missing(1, () => apply(elsewhere, '--dry-run=server'));
  t.same([...lists, ...watches, ...asked].sort(), granted.sort());

  await grant(() => true);
  const before = webhook.logs().length;
  await webhook.start();
  t.match(await eventually(async () => {
    const answer = await apply(elsewhere, '--dry-run=server');
    return answer.code === 0 && answer;
  }), { code: 0 });
  t.notMatch(webhook.logs().slice(before), /forbidden/i);
});

t.test('images and the addresses of the API server are changed in a kustomization of the user', async (t) => {
  const folder = join(copy, 'manifests', 'overlays', 'mine');
  mkdirSync(folder);
  writeFileSync(join(folder, 'kustomization.yaml'), blocks(page, 'yml')[0] ?? '');
  const { deployment, networkPolicy } = await webhookManifests(cluster, folder);
  t.match(deployment.spec.template.spec.containers, [{ image: 'registry.example.com/kollect/webhook:0.1.0' }]);
  t.match(networkPolicy.spec.ingress[0], { from: [{ ipBlock: { cidr: '10.0.0.0/28' } }], ports: [{ port: 9443 }] });
});

/** Types commands of the page, in the copy. */
async function follow(heading: string, wanted: (command: string) => boolean): Promise<void> {
  for (const command of commands(page, heading).filter(wanted)) {
    const { code, output } = await shell(command, administrator, copy);
    if (code !== 0) throw new Error(`${command}: ${output}`);
  }
}

function edit(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${path} has no ${from}`);
  writeFileSync(path, text.replace(from, to));
}

function inventory(namespace: string, sink: string): object {
  return { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name: 'inventory', namespace }, spec: { databaseSinkRefs: [sink] } };
}

function apply(object: object, ...flags: string[]) {
  return kubectl(['apply', ...flags, '-f', '-'], { stdin: JSON.stringify(object) });
}

async function run(args: string[], object?: object): Promise<void> {
  const { code, stderr } = await kubectl(args, object === undefined ? {} : { stdin: JSON.stringify(object) });
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
}
