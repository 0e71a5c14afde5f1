import t from 'tap';
import { createInventoryDatabase } from '../sandbox/database.ts';
import { steps } from './document-blocks.ts';
import { startKollect } from './harness.ts';
import { administratorOf } from './shell.ts';
import { followPage, runLines } from './walkthrough.ts';

// The page is followed as it stands, on a cluster that has Kollect and a database and nothing else.

const page = 'docs/examples/postgres-state-store.md';
const kollect = await startKollect({ test: t });
const database = await createInventoryDatabase(kollect.postgres);
t.teardown(() => database.close());
const environment = { ...administratorOf(kollect.cluster), DSN: database.url };
const run = (command: string) => runLines(command, environment);

const condition = async (): Promise<{ status: string; reason: string; message: string } | undefined> => {
  const sink = await kollect.get('kdb', 'postgres-inventory-demo', 'default');
  const conditions = (sink?.status?.['conditions'] ?? []) as { type: string; status: string; reason: string; message: string }[];
  return conditions.find(({ type }) => type === 'ConnectionVerified');
};

t.test('every command of the page does what the page says', async (t) => {
  const commands = steps(page);
  t.ok(commands.length >= 8);
  const text = commands.map(({ command }) => command).join('\n');
  t.match(text, /kubectl apply -f - <<'EOF'\napiVersion: v1\nkind: Secret\n/);
  t.match(text, /kubectl apply -k config\/samples\/\nkubectl wait --for=condition=ConnectionVerified kollectdatabasesink\/postgres-inventory-demo \\\n {2}-n default --timeout=60s\n/);
  await followPage(t, page, kollect, environment);
  t.match(await condition(), { status: 'True', reason: 'ConnectionOK' });
  await kollect.eventually(async () => (await condition())?.message.includes('has the columns, the key and the privileges'), { what: 'the test after the first export' });
  const logs = kollect.controller.logs() + kollect.webhook.logs();
  t.notMatch(logs, /example@|postgres:\/\//, 'no log shows the connection string');
});

t.test('what goes wrong is what its table says', async (t) => {
  let edits = 0;
  // An edit of the sink is tested at once.
  const again = () => run(`kubectl patch kdb postgres-inventory-demo -n default --type=merge -p '{"spec":{"exportMinInterval":"${++edits}m"}}'`);
  const eventually = (reason: string, message: RegExp) =>
    kollect.eventually(async () => {
      const found = await condition();
      return found?.status === 'False' && found.reason === reason && message.test(found.message);
    }, { what: `${reason} ${message}` }).then(() => t.pass(`${reason} ${message}`));
  await run('kubectl patch secret inventory-postgres-dsn -n kollect-system --type=json -p \'[{"op":"remove","path":"/data/dsn"}]\'');
  await again();
  await eventually('SecretResolveFailed', /does not hold any of the keys dsn, url, connectionString, DATABASE_URL/);
  await run('kubectl delete secret inventory-postgres-dsn -n kollect-system');
  await again();
  await eventually('SecretResolveFailed', /secret "inventory-postgres-dsn" in namespace "kollect-system" not found/);
  const [secret] = steps(page);
  await run(secret!.command.replace('kollect:example', 'kollect:wrong'));
  await again();
  await eventually('ConnectionTestFailed', /refused the login/);
  await run(secret!.command);
  await again();
  await kollect.eventually(async () => (await condition())?.status === 'True');
});
