import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { postgresHost } from '../kollect/installation.ts';
import { untilGranted } from '../kollect/service-account.ts';
import { createInventoryDatabase } from '../sandbox/database.ts';
import { freePort } from '../servers/free-port.ts';
import { blocks, commands, dialogue, documents, plain, walkthroughs } from './document-blocks.ts';
import { startKollect } from './harness.ts';
import { administratorOf, shell } from './shell.ts';

// What the documents say is run: examples are applied, commands answer what is printed below them, flags and metrics are those that exist.

const root = join(import.meta.dirname, '..', '..');
const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts;

/** What needs cert-manager is run by the tests of certificates. */
const ofAnyCluster = documents.filter((document) => document !== 'docs/webhook-certificates.md' && !walkthroughs.includes(document));

t.test('links and paths lead somewhere, and npm scripts exist', async (t) => {
  for (const document of documents) {
    const text = readFileSync(join(root, document), 'utf8');
    const links = [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, link = '']) => link).filter((link) => !link.includes('://'));
    const paths = [...text.matchAll(/(?<![\w/.])(?:manifests|config|certs|docs|shared|webhook|controller|test|tools)\/[\w./-]*[\w/]/g)].map(([path]) => path).filter((path) => !/test\/inventory\/view|<|sinks\/$/.test(path));
    for (const link of links) t.ok(existsSync(join(root, dirname(document), link)), `${document}: ${link}`);
    for (const path of paths) t.ok(existsSync(join(root, path)) || existsSync(join(root, dirname(path))), `${document}: ${path}`);
    for (const [, script = ''] of text.matchAll(/npm run (?:-s )?([\w:]+)/g)) t.ok(Object.hasOwn(scripts, script), `${document}: npm run ${script}`);
  }
});

t.test('the flags are those of --help', async (t) => {
  const usages = blocks('docs/operations.md', 'text');
  for (const name of ['controller', 'webhook']) {
    const { output } = await shell(`node ${name}/main.ts --help`);
    t.ok(usages.includes(output), `${name}: copy the output of --help into docs/operations.md`);
  }
});

t.test('on a cluster', async (t) => {
  const webhookMetricsPort = await freePort();
  const kollect = await startKollect({ test: t, startController: false, controllerEnvironment: { POD_NAMESPACE: 'kollect-system' }, cluster: { users: [{ name: 'kollect-controller' }] }, webhookFlags: [`--metrics-bind-address=127.0.0.1:${webhookMetricsPort}`] });
  const { cluster, postgres } = kollect;
  const database = await createInventoryDatabase(postgres);
  t.teardown(() => database.close());
  const administrator = administratorOf(cluster);
  const run = (command: string) => shell(command, administrator);
  const grant = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'kollect-controller' }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'kollect-controller' }, subjects: [{ kind: 'User', name: 'kollect-controller' }] };

  await t.test('every example is admitted', async (t) => {
    for (const document of documents) {
      for (const example of blocks(document, 'yaml')) {
        const { code, stdout, stderr } = await kollect.kubectl(['apply', '--dry-run=server', ...namespaceFor(example), '-f', '-'], { stdin: example });
        t.match({ document, code, stdout, stderr }, { code: 0, stderr: /^(Warning: spec\.provisioning\.mode: existing: [^\n]*\n)?$/ });
      }
    }
  });

  await t.test('the pipeline of the README is that of the samples', async (t) => {
    const shown = blocks('README.md', 'yaml').map((text) => parse(text) as { kind: string });
    for (const object of shown.filter(({ kind }) => kind !== 'Secret')) {
      t.strictSame(object, parse(readFileSync(join(root, 'config', 'samples', `kollect_v1alpha1_${object.kind.toLowerCase()}.yaml`), 'utf8')));
    }
    t.strictSame(shown.map(({ kind }) => kind), ['Secret', 'KollectProfile', 'KollectTarget', 'KollectDatabaseSink', 'KollectInventory']);
  });

  await t.test('commands answer what is printed below them, with the rights that are listed', async (t) => {
    const [secret = ''] = blocks('README.md', 'yaml');
    const [role = '', leaseRole = ''] = blocks('docs/operations.md', 'yaml');
    const leaseGrant = { ...grant, kind: 'RoleBinding', metadata: { name: 'kollect-controller', namespace: 'kollect-system' }, roleRef: { ...grant.roleRef, kind: 'Role', name: 'kollect-controller-leader-election' } };
    await kollect.apply(secret);
    for (const right of [role, grant, leaseRole, leaseGrant]) await kollect.apply(right);
    const kubeconfig = cluster.kubeconfigOf('kollect-controller');
    await untilGranted(cluster, kubeconfig, { verb: 'list', resource: 'customresourcedefinitions.apiextensions.k8s.io' });
    await untilGranted(cluster, kubeconfig, { verb: 'create', resource: 'leases.coordination.k8s.io', namespace: 'kollect-system' });
    await kollect.controller.start([
      `--kubeconfig=${kubeconfig}`,
      `--metrics-bind-address=${new URL(kollect.controller.metricsUrl).host}`,
      '--leader-elect',
      '--allow-loopback-sinks',
      `--map-host=${postgresHost(postgres.port)}`,
    ]);
    for (const document of documents.filter((name) => !walkthroughs.includes(name))) {
      for (const { command, expected } of blocks(document, 'console').flatMap(dialogue)) {
        const changes = !/^kubectl (get|wait) /.test(command);
        const answer = await kollect.eventually(async () => {
          const { output } = await run(command);
          return changes || plain(output) === plain(expected) ? output : undefined;
        }, { what: `${document}: ${command}`, intervalMs: 250 }).catch(async () => (await run(command)).output);
        t.equal(plain(answer), plain(expected), `${document}: ${command}`);
      }
    }
    const short = { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectConnectionTest', metadata: { name: 'short', namespace: 'default' }, spec: { sinkRef: { databaseSinkRef: 'postgres-inventory-demo' }, ttlSecondsAfterFinished: 0 } };
    await kollect.apply(short);
    await kollect.eventually(async () => (await kollect.get('kconntest', 'short', 'default')) === undefined, { what: 'the end of a connection test' });
    t.notMatch(kollect.controller.logs(), /forbidden/i, 'no right is missing');
  });

  await t.test('shell commands work', async (t) => {
    for (const document of ofAnyCluster) {
      for (const command of commands(document)) {
        const [program = '', ...args] = command.split(' ');
        const folder = /-k (\S+)/.exec(command)?.[1];
        const sql = /^psql "\$DSN" -c "(.*)"$/.exec(command)?.[1];
        if (program === 'npm') t.ok(args[0] === 'ci' || args[0] === 'test' || Object.hasOwn(scripts, args[1] ?? ''), command);
        else if (program === 'node') t.ok(existsSync(join(root, args[0] ?? '')), command);
        else if (sql !== undefined) t.strictSame(await postgres.query(sql, [], 'inventory'), [{ name: 'web', image: 'nginx:1.29' }], command);
        // Installing once more would replace the registration of this test's webhook by that of a cluster.
        else if (document === 'docs/operations.md' && folder !== undefined) t.match(await run(`kubectl kustomize ${folder}`), { code: 0, output: /kind: / }, command);
        else if (document === 'docs/operations.md') t.match(await run(`${command} --dry-run=client`), { code: 0 }, command);
        else t.match(await run(command), { code: 0 }, command);
      }
    }
  });

  await t.test('the table of the page is the one that is created, and one of that form is accepted as existing', async (t) => {
    const [statement = ''] = blocks('docs/kollectdatabasesink.md', 'sql');
    const name = await postgres.createDatabase('reporting');
    await postgres.query(statement, [], name);
    const columns = `select column_name, data_type, is_nullable, column_default from information_schema.columns where table_name = 'inventory_items' order by ordinal_position`;
    t.strictSame(await postgres.query(columns, [], name), await postgres.query(columns, [], 'inventory'));
    const namespace = await kollect.namespace();
    const [example = ''] = blocks('docs/kollectdatabasesink.md', 'yaml');
    await kollect.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'reporting-dsn', namespace }, stringData: { url: postgres.dsn(name) } });
    await kollect.apply(example, { flags: ['-n', namespace] });
    t.match(await kollect.kubectl(['wait', '--for=condition=ConnectionVerified', 'kdb/reporting', '-n', namespace, '--timeout=60s']), { code: 0 });
  });

  await t.test('the metrics exist', async (t) => {
    const urls = [kollect.controller.metricsUrl, `http://127.0.0.1:${webhookMetricsPort}/metrics`];
    const texts = await Promise.all(urls.map(async (url) => (await fetch(url)).text()));
    const named = readFileSync(join(root, 'docs/operations.md'), 'utf8').matchAll(/`(kollect_\w+)`/g);
    for (const [, name = ''] of named) t.ok(texts.some((text) => text.includes(`# TYPE ${name} `)), name);
  });
});

/** Objects without a namespace go where the documents put them. */
function namespaceFor(example: string): string[] {
  return (parse(example) as { metadata: { namespace?: string } }).metadata.namespace === undefined ? ['-n', 'default'] : [];
}
