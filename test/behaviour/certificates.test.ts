import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import t from 'tap';
import { loadConnection } from '../../shared/kube/config.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { deployWebhook, endpointRouting } from '../kollect/deployed-webhook.ts';
import type { Replica } from '../kollect/deployed-webhook.ts';
import { isCalled } from '../kollect/registration.ts';
import { start as startCertManager } from '../servers/cert-manager/index.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { pathOf, reviewOf } from '../webhook/harness.ts';
import { commands } from './document-blocks.ts';
import { administratorOf, shell } from './shell.ts';

// The manifests as they are shipped, with the real cert-manager and its injector: a certificate, trust in it, and a change of both, which no user notices.

const service = 'kollect-webhook-service.kollect-system.svc';
/** The pods are replaced again and again for as long; once when unset. */
const drillMs = 1_000 * Number(process.env['KOLLECT_DRILL_SECONDS'] ?? 0);
const configurations = ['mutatingwebhookconfigurations/kollect-mutating-webhook-configuration', 'mutatingwebhookconfigurations/zz-kollect-early-validation', 'validatingwebhookconfigurations/kollect-validating-webhook-configuration'];

const cluster = await startCluster({ apiserverFlags: [endpointRouting] });
t.teardown(() => cluster.stop());
const { kubectl } = cluster;
const client = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => client.close());
await startCertManager({ kubeconfig: cluster.kubeconfig, kubectl, keeper: cluster.keeper });
const administrator = administratorOf(cluster);
await follow('Example');
const deployed = await deployWebhook(cluster, 'manifests/webhook');
t.teardown(deployed.stop);
await eventually(() => isCalled(kubectl), { what: 'calls of the webhook through its Service' });

t.test('an authority signs what the webhook serves', async (t) => {
  const authority = new X509Certificate(await secret('kollect-webhook-ca', 'tls.crt'));
  const serving = new X509Certificate(await secret('webhook-server-cert', 'tls.crt'));
  t.ok(authority.ca && authority.checkIssued(authority));
  t.ok(!serving.ca && serving.checkIssued(authority) && serving.verify(authority.publicKey));
  t.match(serving.subjectAltName, `DNS:${service}, DNS:${service}.cluster.local`);
  t.same(serving.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'for servers alone');
  t.ok(Date.parse(authority.validTo) - Date.parse(serving.validTo) > 365 * 86_400_000, 'the authority outlives what it signs');
  for (const { port } of deployed.replicas) t.equal((await served(port)).serialNumber, serving.serialNumber);
});

t.test('the API server is told to trust that authority', async (t) => {
  const authority = await secret('webhook-server-cert', 'ca.crt');
  for (const configuration of configurations) {
    const bundles = await caBundles(configuration);
    t.ok(bundles.length > 0 && bundles.every((bundle) => bundle === authority), configuration);
  }
});

t.test('kubectl apply passes through it', async (t) => {
  const apply = (spec: object) => kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(inventory('through', spec)) });
  t.match(await apply({ databaseSinkRefs: ['pg'] }), { code: 0, stderr: '' });
  t.match((await client.get<{ spec: unknown }>('/apis/kollect.dev/v1alpha1/namespaces/default/kollectinventories/through')).spec, { databaseSinkRefs: [{ name: 'pg' }], exportMinInterval: '30s' });
  t.match(await apply({ databaseSinkRefs: ['not/a/name'] }), { code: 1, stderr: /spec\.databaseSinkRefs\[0\]/ });
});

t.test('under load certificate and authority are renewed and every pod is replaced, and no call fails', async (t) => {
  const load = underLoad();
  t.teardown(load.stop);
  const first = await served(deployed.replicas[0]?.port);
  const before = await revision('kollect-serving-cert');
  // Lives for a minute, and is renewed six seconds after it was issued.
  await run('patch', 'certificate', 'kollect-serving-cert', '--namespace=kollect-system', '--type=merge', '--patch={"spec":{"duration":"1m","renewBefore":"54s"}}');
  const renewals = (count: number) => eventually(async () => (await revision('kollect-serving-cert')) >= before + count, { timeoutMs: 120_000, what: `${count} renewals` });
  await renewals(2);

  const oldAuthority = new X509Certificate(await secret('webhook-server-cert', 'ca.crt'));
  await renew('kollect-webhook-ca');
  const newAuthority = await eventually(async () => {
    const pem = await secret('webhook-server-cert', 'ca.crt');
    const bundles = await Promise.all(configurations.map(caBundles));
    return new X509Certificate(pem).serialNumber !== oldAuthority.serialNumber && bundles.flat().every((bundle) => bundle.includes(pem.trim())) && new X509Certificate(pem);
  }, { timeoutMs: 120_000, what: 'the renewed authority in all configurations' });
  t.ok(newAuthority.publicKey.equals(oldAuthority.publicKey), 'so that both verify what either has signed');

  let restarts = 0;
  const until = performance.now() + drillMs;
  do {
    for (const replica of deployed.replicas) {
      const ended = replica.kill('SIGTERM');
      await deployed.route(deployed.replicas.filter((other) => other !== replica));
      load.without(replica);
      await ended;
      t.same(replica.exit(), { code: 0, signal: null });
      await replica.start();
      load.without(undefined);
      await deployed.route(deployed.replicas);
      restarts++;
    }
  } while (performance.now() < until);

  // Another key of the authority, while pods still serve what the one before has signed.
  await follow('Rotation', 4);
  const another = new X509Certificate(await secret('webhook-server-cert', 'ca.crt'));
  t.notOk(another.publicKey.equals(newAuthority.publicKey));
  await renewals(5);
  const last = new X509Certificate(await secret('webhook-server-cert', 'tls.crt'));
  for (const { port } of deployed.replicas) await eventually(async () => (await served(port)).serialNumber === last.serialNumber, { what: 'the last certificate' });
  const { applied, reviewed, failures } = await load.stop();
  t.not(last.serialNumber, first.serialNumber);
  t.strictSame(failures, []);
  t.ok(applied > 100 && reviewed > 100, `${applied} objects applied, ${reviewed} connections made`);
  t.comment(`${applied} objects applied and ${reviewed} connections made during ${restarts} restarts and ${(await revision('kollect-serving-cert')) - before} renewals`);
  for (const replica of deployed.replicas) t.notMatch(replica.logs(), /"level":"error"/);
  t.ok((await caBundles(configurations[2])).every((bundle) => bundle.split('BEGIN CERTIFICATE').length === 4), 'all three are trusted until they expire');

  const renewed = await revision('kollect-serving-cert');
  await run('patch', 'certificate', 'kollect-serving-cert', '--namespace=kollect-system', '--type=merge', '--patch={"spec":{"duration":"2160h","renewBefore":"720h"}}');
  await eventually(async () => (await revision('kollect-serving-cert')) > renewed && Date.parse(new X509Certificate(await secret('webhook-server-cert', 'tls.crt')).validTo) > Date.now() + 86_400_000, { timeoutMs: 120_000, what: 'a certificate for long' });
  // The injector may be writing what it read before, and bring the old ones back once more.
  const certificates = (pem: string) => pem.split(/(?=-----BEGIN)/).filter((part) => part.trim() !== '').map((part) => new X509Certificate(part).serialNumber);
  await eventually(async () => {
    await follow('Rotation', -1);
    const bundles = await eventually(async () => {
      const found = (await Promise.all(configurations.map(caBundles))).flat();
      return found.every((bundle) => bundle !== '') && found;
    }, { what: 'authorities in all configurations' });
    const expected = new X509Certificate(await secret('webhook-server-cert', 'ca.crt')).serialNumber;
    const trusted = [...new Set(bundles.flatMap(certificates))];
    if (trusted.length > 1 || trusted[0] !== expected) throw new Error(`${trusted.join(', ')} are trusted, and the authority is ${expected}`);
    return true;
  }, { timeoutMs: 120_000, intervalMs: 1_000, what: 'the last authority alone in all configurations' });
  await eventually(() => isCalled(kubectl), { what: 'calls of the webhook' });
});

/** Types the commands below a heading of the page: the first `count`, the last with -1, all when unset. */
async function follow(heading: string, count?: number): Promise<void> {
  const all = commands('docs/webhook-certificates.md', heading);
  for (const command of count === -1 ? all.slice(-1) : all.slice(0, count)) {
    const { code, output } = await shell(command, administrator);
    if (code !== 0) throw new Error(`${command}: ${output}`);
  }
}

/** Applies objects all the time, and calls each replica over new connections, which trust what the API server trusts at that moment. */
function underLoad() {
  const failures: unknown[] = [];
  let applied = 0;
  let reviewed = 0;
  let stopping = false;
  let unrouted: Replica | undefined;
  const repeat = async (work: () => Promise<void>) => {
    while (!stopping && failures.length < 10) {
      await work().catch((error: unknown) => failures.push(error));
      await pause(10);
    }
  };
  const apply = (name: string) => repeat(async () => {
    const body = inventory(name, { databaseSinkRefs: [`pg-${applied}`] });
    await client.patch(`/apis/kollect.dev/v1alpha1/namespaces/default/kollectinventories/${name}`, { type: 'apply', body, query: { fieldManager: 'load' } });
    applied++;
  });
  const call = (replica: Replica) => repeat(async () => {
    const [ca = ''] = await caBundles(configurations[2]);
    const review = JSON.stringify(reviewOf({ kind: 'KollectInventory', metadata: { name: 'called', namespace: 'default' } }));
    // While no endpoint names it, it is not called by others either.
    if (replica === unrouted) return;
    const status = await post(replica.port, ca, review).catch((error: unknown) => {
      // The call was under way when the last endpoint went.
      if (replica === unrouted) return undefined;
      throw error;
    });
    if (status === undefined) return;
    if (status !== 200) throw new Error(`HTTP ${status}`);
    reviewed++;
  });
  const loops = [apply('load-a'), apply('load-b'), ...deployed.replicas.map(call)];
  const stop = async () => {
    stopping = true;
    await Promise.all(loops);
    return { applied, reviewed, failures };
  };
  /** Tells which replica no endpoint names; undefined: each is named. */
  const without = (replica: Replica | undefined) => void (unrouted = replica);
  return { stop, without };
}

/** One review over a connection of its own, as the API server makes it. */
function post(port: number, ca: string, body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const call = request({ host: '127.0.0.1', port, servername: service, ca, agent: false, method: 'POST', path: pathOf('validate', 'KollectInventory'), headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode)).once('error', reject);
    });
    call.once('error', reject);
    call.end(body);
  });
}

/** The certificate that a new connection is shown. */
function served(port = 0): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: service, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate === undefined) reject(new Error('no certificate'));
      else resolve(certificate);
    });
    socket.once('error', reject);
  });
}

/** Asks for a new certificate, as `cmctl renew` does. */
async function renew(certificate: string): Promise<void> {
  const conditions = [{ type: 'Issuing', status: 'True', reason: 'ManuallyTriggered', message: 'asked for', lastTransitionTime: new Date().toISOString() }];
  const ready = JSON.parse(await run('get', 'certificate', certificate, '--namespace=kollect-system', '--output=jsonpath={.status.conditions[?(@.type=="Ready")]}')) as object;
  await run('patch', 'certificate', certificate, '--namespace=kollect-system', '--subresource=status', '--type=merge', `--patch=${JSON.stringify({ status: { conditions: [ready, ...conditions] } })}`);
}

async function revision(certificate: string): Promise<number> {
  return Number(await run('get', 'certificate', certificate, '--namespace=kollect-system', '--output=jsonpath={.status.revision}'));
}

/** A value of a Secret, decoded. */
async function secret(name: string, key: string): Promise<string> {
  const { data } = await client.get<{ data: Record<string, string> }>(`/api/v1/namespaces/kollect-system/secrets/${name}`);
  return Buffer.from(data[key] ?? '', 'base64').toString();
}

/** PEM of what is trusted, for each webhook of a configuration. */
async function caBundles(configuration = ''): Promise<string[]> {
  const { webhooks } = await client.get<{ webhooks: { clientConfig: { caBundle?: string } }[] }>(`/apis/admissionregistration.k8s.io/v1/${configuration}`);
  return webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? '', 'base64').toString());
}

function inventory(name: string, spec: object) {
  return { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name, namespace: 'default' }, spec };
}

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}
