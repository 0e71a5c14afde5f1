import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { crdNames, installCrds } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import type { Cluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { plainEnvironment } from '../servers/keeper.ts';

const program = join(import.meta.dirname, '..', 'sandbox', 'main.ts');

interface Run {
  child: ChildProcess;
  /** All that it printed so far. */
  output(): string;
  exited: Promise<number | null>;
}

function sandbox(...flags: string[]): Run {
  const child = spawn(process.execPath, [program, ...flags], { env: plainEnvironment() });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return { child, output: () => output, exited: new Promise((resolve) => child.once('close', resolve)) };
}

/** Names of all that a sandbox creates in a cluster, CRDs left out. */
async function leftIn({ kubectl }: Cluster): Promise<string> {
  const { stdout } = await kubectl(['get', 'namespaces,mutatingwebhookconfigurations,validatingwebhookconfigurations', '-o', 'name']);
  return stdout.split('\n').filter((line) => line.includes('kollect')).join(' ');
}

async function crdsIn({ kubectl }: Cluster): Promise<string[]> {
  const { stdout } = await kubectl(['get', 'crds', '-o', 'jsonpath={.items[*].metadata.name}']);
  return stdout.split(' ').filter((name) => name !== '');
}

t.test('--help lists the flags, and a flag that does not exist is refused', async (t) => {
  const help = sandbox('--help');
  t.equal(await help.exited, 0);
  t.match(help.output(), /^Usage: npm run sandbox -- \[flags\]\n[^]*--once[^]*--kubeconfig <file>/);
  const unknown = sandbox('--onec');
  t.equal(await unknown.exited, 2);
  t.equal(unknown.output(), 'unknown flag --onec, did you mean --once?; --help lists all flags\n');
  const missing = sandbox('--once', '--kubeconfig=/nonexistent');
  t.equal(await missing.exited, 1);
  t.match(missing.output(), /there is no kubeconfig \/nonexistent/);
});

t.test('on the cluster of a kubeconfig', async (t) => {
  const cluster = await startCluster({ controllerManager: true });
  t.teardown(() => cluster.stop());
  const { kubectl, kubeconfig } = cluster;

  await t.test('everything is shown, held to what it should be, and removed', async (t) => {
    const run = sandbox('--once', '--kubeconfig', kubeconfig);
    t.equal(await run.exited, 0, run.output());
    t.match(run.output(), /CustomResourceDefinitions: 11 installed/);
    t.match(run.output(), /changed {2}Deployment kollect-sandbox\/web: replicas 2 → 5\n {2}ok {2}exactly one row, \d+ ms after/);
    t.match(run.output(), /removed {2}Deployment kollect-sandbox\/cache\n {2}ok {2}exactly one row/);
    t.match(run.output(), /6 of 6 refused; --dry-run=server says the same/);
    t.match(run.output(), /\nsandbox: ok \(\d+ s\)\n$/);
    t.notMatch(run.output(), '\u001b', 'no colours where no terminal is');
    t.equal(await leftIn(cluster), '');
    t.strictSame(await crdsIn(cluster), []);
  });

  await t.test('a cluster where Kollect is in use is left alone', async (t) => {
    await installCrds(kubectl);
    const theirs = { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name: 'theirs', namespace: 'default' }, spec: {} };
    await kubectl(['create', '-f', '-'], { stdin: JSON.stringify(theirs) });
    const run = sandbox('--once', '--kubeconfig', kubeconfig);
    t.equal(await run.exited, 1);
    t.match(run.output(), /this cluster has Kollect already[^]*Found:\s+kollectinventories\.kollect\.dev\/theirs in default/);
    t.equal(await leftIn(cluster), '');
    t.match(await kubectl(['delete', 'kinv', 'theirs']), { code: 0 });
  });

  await t.test('a sandbox that is killed is cleaned up all the same, and CRDs that were there stay', async (t) => {
    const run = sandbox('--kubeconfig', kubeconfig);
    await eventually(() => run.output().includes('exactly 3 rows') || run.child.exitCode !== null, { what: 'rows in the output' });
    t.match(run.output(), /0 installed, 11 were there and stay as they are/);
    t.match(await leftIn(cluster), /namespace\/kollect-sandbox .*kollect-validating-webhook-configuration/);
    run.child.kill('SIGKILL');
    await eventually(async () => (await leftIn(cluster)) === '', { what: 'nothing of it in the cluster', timeoutMs: 120_000 });
    t.strictSame((await crdsIn(cluster)).toSorted(), crdNames.toSorted());
  });
});

t.test('where the API server cannot reach this machine, the controller finds mistakes', async (t) => {
  // Whatever it calls goes through a proxy that is not there.
  const egress = join(t.testdir(), 'egress.yaml');
  const connection = { proxyProtocol: 'HTTPConnect', transport: { uds: { udsName: join(t.testdirName, 'no.sock') } } };
  writeFileSync(egress, JSON.stringify({ apiVersion: 'apiserver.k8s.io/v1beta1', kind: 'EgressSelectorConfiguration', egressSelections: [{ name: 'controlplane', connection }] }));
  const cluster = await startCluster({ controllerManager: true, apiserverFlags: [`--egress-selector-config-file=${egress}`] });
  t.teardown(() => cluster.stop());

  const run = sandbox('--once', '--kubeconfig', cluster.kubeconfig);
  t.equal(await run.exited, 0, run.output());
  t.match(run.output(), /the API server cannot reach the webhook on this machine, so it is not\s+registered/);
  t.match(run.output(), /ktgt\/policy-typo[^]*spec\.resourceRules\[0\]\.matchPolicy: Invalid value/);
  t.equal(await leftIn(cluster), '');
});
