import t from 'tap';
import { Controller } from '../../controller/controller.ts';
import { createLogger } from '../../shared/log.ts';
import { startKollect } from './harness.ts';
import { deployment, pipeline } from './objects.ts';

/** The controller runs in this process: what takes five minutes in a cluster takes a moment here. */
const kollect = await startKollect({ webhook: false, startController: false });
t.teardown(() => kollect.stop());
/** All that was logged, and what of it `failures` did not tell yet. */
const log: string[] = [];
const lines: string[] = [];
const controller = await Controller.create({
  kubeconfig: kollect.cluster.kubeconfig,
  policy: { allowPrivate: true, allowLoopback: true },
  mapHosts: new Map(),
  watchNamespaces: [],
  namespaceDefaults: { included: [], excluded: [] },
  scrubKeys: [],
  tenantMode: true,
  metricsSampleIntervalMs: 0,
  identity: 'test',
  logger: createLogger({ level: 'warn', format: 'text', name: 'controller', write: (line) => log.push(line) + lines.push(line) }),
  pace: { secretPollMs: 200 },
});
await controller.start();
t.teardown(() => controller.stop());

await kollect.psql("CREATE ROLE rotor LOGIN PASSWORD 'canary-one'");
await kollect.psql('GRANT ALL ON SCHEMA public TO rotor');
const { namespace, scale, replicas } = await exported();

/** A namespace whose Deployment `web` is exported by the role. */
async function exported() {
  const namespace = await kollect.namespace();
  await kollect.apply(pipeline({ namespace, dsn: dsn('canary-one') }));
  await kollect.apply(deployment(namespace, 'web'));
  const replicas = (wanted: number) =>
    kollect.eventually(async () => {
      const rows = await kollect.psql<{ replicas: number }>(`SELECT (payload->'attributes'->>'replicas')::int AS replicas FROM inventory_items WHERE inventory_namespace = '${namespace}'`);
      if (rows[0]?.replicas !== wanted) throw new Error(`found ${JSON.stringify(rows)}, wanted ${wanted}`);
      return true;
    });
  await replicas(1);
  let count = 1;
  const scale = async () => {
    await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, `--replicas=${++count}`]);
    return count;
  };
  return { namespace, scale, replicas };
}

function dsn(password: string): string {
  return kollect.dsn.replace(/\/\/[^@]+@/, `//rotor:${password}@`);
}

const secret = (password: string) => kollect.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn', namespace }, stringData: { dsn: dsn(password) } });
const role = (password: string) => kollect.psql(`ALTER ROLE rotor PASSWORD '${password}'`);

async function untilVerified(wanted: RegExp): Promise<void> {
  await kollect.eventually(async () => {
    const sink = await kollect.get<{ status?: { conditions?: { type: string; status: string; reason: string }[] } }>('kdb', 'pg', namespace);
    const found = sink?.status?.conditions?.find(({ type }) => type === 'ConnectionVerified');
    if (!wanted.test(`${found?.status} ${found?.reason}`)) throw new Error(JSON.stringify(found));
    return true;
  });
}

const failures = (): string[] => lines.splice(0).filter((line) => line.includes('export failed'));

t.test('rotated in the database and then in the Secret: no export fails', async (t) => {
  await untilVerified(/True/);
  // The inventory may have been seen before its sink.
  failures();
  await role('canary-two');
  await replicas(await scale());
  const [{ now } = { now: '' }] = await kollect.psql<{ now: string }>('SELECT now()::text AS now');
  await secret('canary-two');
  // Somebody notices, and the next export logs in anew.
  await kollect.eventually(async () => {
    await replicas(await scale());
    const old = await kollect.psql(`SELECT pid FROM pg_stat_activity WHERE usename = 'rotor' AND backend_start < '${now}'`);
    return old.length === 0;
  });
  await untilVerified(/True/);
  t.strictSame(failures(), []);
});

t.test('rotated in the Secret and then in the database: exports wait, and go on by themselves', async () => {
  await secret('canary-three');
  await untilVerified(/False ConnectionTestFailed/);
  const wanted = await scale();
  await kollect.eventually(() => failures().some((line) => line.includes('refused the login')));
  await role('canary-three');
  await replicas(wanted);
});

t.test('a Secret that is deleted cuts nothing off, and one that comes back is read', async (t) => {
  await kollect.kubectl(['delete', 'secret', 'dsn', '-n', namespace]);
  await untilVerified(/False SecretResolveFailed/);
  failures();
  await replicas(await scale());
  t.strictSame(failures(), [], 'the connection that was open is used on');
  await role('canary-four');
  await kollect.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotor'");
  await secret('canary-four');
  await untilVerified(/True ConnectionOK/);
  await replicas(await scale());
});

t.test('no password was logged, of those that were refused either', (t) => {
  t.match(log.join(''), /export failed.*refused the login/);
  t.notMatch(log.join(''), 'canary');
  t.end();
});
