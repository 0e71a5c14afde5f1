import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import nock from 'nock';
import t from 'tap';
import { createAuthority } from '../../certs/x509.ts';
import { SnapshotDigest } from '../../controller/collect/digest.ts';
import { bigquery } from '../../controller/sinks/bigquery/backend.ts';
import type { ExportRow, HeldRow, PreviewSample } from '../../controller/sinks/contract.ts';
import type { KollectDatabaseSinkSpec } from '../../shared/api/kollect-database-sink.ts';
import type { Asked, Fault } from '../servers/bigquery/index.ts';
import { freePort } from '../servers/free-port.ts';
import { plainEnvironment } from '../servers/keeper.ts';
import { runCommand } from '../servers/run-command.ts';
import { bigqueryPlace, bigqueryServer, keyFile, openBigQuery, sinkObject, table, type BigQueryPlace, type OpenBigQueryOptions } from './bigquery-place.ts';
import { attribute, canary, change, failure, identity, row, rows, signal, uids, whole } from './conformance.ts';

const server = await bigqueryServer();
t.teardown(() => server.stop());

const existing = { provisioning: { mode: 'existing' as const } };
const columns = `inventory_namespace text NOT NULL, inventory_name text NOT NULL, target_name text NOT NULL, source_uid text NOT NULL, cluster text NOT NULL, resource_namespace text NOT NULL,
  payload jsonb NOT NULL, exported_at timestamptz NOT NULL`;
const digestOf = (all: readonly ExportRow[]): string => {
  const digest = new SnapshotDigest();
  for (const { hash } of all) digest.add(hash);
  return digest.toString();
};
/** Jobs since a moment, but for those that are only judged. */
const jobsSince = (start: number): string[] => server.asked.slice(start).flatMap(({ kind, dryRun }) => (kind === undefined || dryRun ? [] : [kind]));

async function opened(t: { teardown(end: () => Promise<void>): void }, place: BigQueryPlace, options: OpenBigQueryOptions = {}) {
  const { sink } = await place.opened({ installation: 'ours', ...options });
  t.teardown(() => sink.close());
  return sink;
}

t.test('an export is one statement, and the preview shows it', async (t) => {
  const place = await bigqueryPlace(server);
  const sink = await opened(t, place);
  const start = server.asked.length;
  await sink.write(whole(rows(3)), signal);
  await sink.write(whole([]), signal);
  await sink.write(change(rows(2)), signal);
  t.strictSame(jobsSince(start), ['CREATE', 'SELECT', 'MERGE', 'SELECT', 'MERGE', 'MERGE'], 'a comparison asks first whose the rows are; a change does not');
  const spec = { ...sinkObject().spec, bigquery: { project: server.project, dataset: place.dataset, table } } as KollectDatabaseSinkSpec;
  const { bigquery: shown } = await bigquery.preview(spec, {} as PreviewSample);
  const ran = server.asked.slice(start).flatMap(({ kind, sql }) => (kind === 'CREATE' || kind === 'MERGE' ? [sql] : []));
  t.strictSame([shown?.expectedDDL, shown?.expectedMerge], [ran[0], ran[1]]);
  t.match(shown?.expectedDDL, /PARTITION BY DATE\(exported_at\)\nCLUSTER BY cluster, inventory_namespace, inventory_name, resource_namespace$/);
  t.match(ran[1], `\`${server.project}\`.\`${place.dataset}\`.\`${table}\``);
  t.notOk(ran.some((sql) => sql?.includes('u000000') || sql?.includes('team-a')), 'values are parameters');
});

t.test('what is larger than a request is loaded first, and still one statement', async (t) => {
  const place = await bigqueryPlace(server);
  const sink = await opened(t, place);
  const all = rows(12, { v: 'x'.repeat(500_000) });
  const start = server.asked.length;
  await sink.write(whole([row('stale'), all[0]!]), signal);
  const after = { rows: 12, digest: digestOf(all) };
  t.match(await sink.write(whole([row('u000003'), ...all], { keep: ['kept'], after, staleLimit: { rows: 1, exempt: [] } }), signal), { confirmed: 13, written: 11, deleted: 1, held: 0 });
  t.strictSame(jobsSince(start), ['CREATE', 'SELECT', 'MERGE', 'SELECT', 'LOAD', 'SELECT', 'MERGE']);
  t.strictSame(await sink.check(identity(), signal), { rows: 12, digest: after.digest, owned: true, isTouched: false }, 'of a row that came twice, the later one is there');
  t.match(await sink.write(change(all.map(({ uid }) => row(uid, { v: 'y'.repeat(500_000) })), { deletes: ['u000011', 'none'] }), signal), { written: 12, deleted: 0 }, 'what is named as gone and handed over is there');
  t.strictSame(await server.sql('SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = $1', [place.dataset]), [{ relname: table }], 'no other table is left');
});

t.test('under existing nothing is created, whatever the size', async (t) => {
  const place = await bigqueryPlace(server);
  await server.sql(`CREATE TABLE ${place.sqlName} (${columns}, remark text)`);
  const sink = await opened(t, place, { spec: existing });
  const large = rows(12, { v: 'x'.repeat(500_000) });
  const start = server.asked.length;
  await sink.write(whole([...rows(3, {}, 'jobs'), row('stale'), row('kept')], { complete: ['web', 'jobs'], known: ['web', 'jobs'] }), signal);
  const held = await sink.write(whole(large, { complete: ['web', 'jobs'], known: ['web', 'jobs'], keep: ['kept'], staleLimit: { rows: 0, exempt: ['jobs'] } }), signal);
  t.match(held, { written: 12, deleted: 3, held: 1 });
  t.match(await sink.write(whole(large, { complete: ['web'], known: ['web'], spared: [{ targetName: 'web', group: '', kind: 'pod' }] }), signal), { written: 0, deleted: 0 }, 'compared by content');
  t.match(await sink.write(whole(large), signal), { deleted: 2 });
  t.ok(server.asked.slice(start).every(({ kind, method, path }) => (kind === undefined ? method !== 'POST' || path.endsWith('/cancel') : kind === 'MERGE' || kind === 'SELECT')));
  t.strictSame(await sink.check(identity(), signal), { rows: 12, digest: undefined, owned: undefined, isTouched: false });
  t.strictSame(await sink.remove(identity(), false, signal), { deleted: 0 }, 'nobody knows whose they are');
  t.strictSame(await sink.remove(identity(), true, signal), { deleted: 12 });
});

t.test('what is there of an older version is kept, and brought up to date', async (t) => {
  const place = await bigqueryPlace(server);
  await server.sql(`CREATE TABLE ${place.sqlName} (${columns})`);
  const old = await opened(t, place, { spec: existing });
  await old.write(whole(rows(3, { v: 1 })), signal);
  const before = await place.contents();
  const sink = await opened(t, place);
  t.match(await sink.write(whole(rows(3, { v: 1 })), signal), { written: 0, deleted: 0 });
  t.strictSame(await place.contents(), before, 'not one row was written again');
  t.match(await sink.check(identity(), signal), { rows: 3, owned: true, digest: undefined });
  t.match(await sink.write(change([row('u000001', { v: 2 })]), signal), { written: 1 });
  t.strictSame((await place.contents()).map(attribute), [1, 2, 1]);
});

t.test('rows that somebody else changed, or inserted twice, are noticed', async (t) => {
  const place = await bigqueryPlace(server);
  const sink = await opened(t, place);
  const after = { rows: 3, digest: digestOf(rows(3)) };
  await sink.write(whole(rows(3), { after }), signal);
  const start = server.asked.length;
  t.strictSame([await sink.check(identity(), signal), await sink.check(identity(), signal)], Array.from({ length: 2 }, () => ({ rows: 3, digest: after.digest, owned: true, isTouched: false })));
  t.strictSame(jobsSince(start), ['SELECT'], 'nothing is counted twice while nothing changes');
  const [other] = rows(1, { v: 'other' });
  await server.sql(`UPDATE ${place.sqlName} SET payload_sha256 = $1 WHERE source_uid = 'u000000'`, [Buffer.from(other!.hash, 'latin1')]);
  const fresh = await opened(t, place);
  t.match(await fresh.check(identity(), signal), { rows: 3, isTouched: false });
  await sink.write(whole([], { identity: identity('other') }), signal);
  t.match(await sink.check(identity(), signal), { rows: 3, isTouched: true });
  await server.sql(`INSERT INTO ${place.sqlName} SELECT * FROM ${place.sqlName}`);
  t.match(await fresh.write(whole(rows(3), { after }), signal), { written: 3 });
  t.match(await fresh.check(identity(), signal), { rows: 3, digest: after.digest });
  t.strictSame(uids(await place.contents()), ['u000000', 'u000001', 'u000002']);
});

t.test('an answer that is lost is found again, and nothing is done twice', async (t) => {
  const place = await bigqueryPlace(server);
  const sink = await opened(t, place);
  await sink.write(whole(rows(1)), signal);
  for (const write of [() => change(rows(3, { v: 2 })), () => whole(rows(3, { v: 3 }))]) {
    const start = server.asked.length;
    server.loseNext = 'reset';
    t.match(await sink.write(write(), signal), { confirmed: 3, written: 3 }, 'counted as it was done');
    t.equal(server.asked.slice(start).filter(({ kind, lost }) => kind === 'MERGE' && lost !== undefined).length, 1);
    const ids = server.asked.slice(start).filter(({ kind }) => kind === 'MERGE');
    t.equal(ids.length, 2, 'inserted again under the same id, which is there already');
  }
});

t.test('a job that was left is over before anything else is written', async (t) => {
  const place = await bigqueryPlace(server);
  const sink = await opened(t, place);
  await sink.write(whole(rows(2, { v: 1 })), signal);
  const hold = await place.holdNextWrite();
  const abort = new AbortController();
  const left = failure(sink.write(change(rows(2, { v: 'late' })), abort.signal));
  await hold.waiting();
  server.fault = ({ path }) => (path.endsWith('/cancel') ? { status: 503, reason: 'backendError' } : undefined);
  abort.abort();
  await left;
  t.match(await failure(sink.write(change(rows(2, { v: 2 })), signal)), { code: 'KOL_SINK_UNAVAILABLE' }, 'while nobody knows whether it is');
  t.equal(server.held(), 1);
  server.fault = undefined;
  t.match(await sink.write(change(rows(2, { v: 2 })), signal), { written: 2 });
  t.equal(server.held(), 0);
  t.strictSame((await place.contents()).map(attribute), [2, 2]);
});

t.test('each answer of BigQuery has its meaning, and nothing of its text is shown', async (t) => {
  const place = await bigqueryPlace(server);
  const sink = await opened(t, place);
  await sink.write(whole(rows(1)), signal);
  const message = `quoted: ${canary}`;
  const cases: [Fault, object][] = [
    [{ status: 403, reason: 'rateLimitExceeded' }, { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: /limits how often.*rateLimitExceeded, HTTP 403/ }],
    [{ status: 403, reason: 'quotaExceeded' }, { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', retryAfterMs: 300_000, message: /quota of project example-project/ }],
    [{ status: 429, reason: '' }, { code: 'KOL_SINK_UNAVAILABLE', message: /HTTP 429/ }],
    [{ status: 503, reason: 'backendError' }, { code: 'KOL_SINK_UNAVAILABLE', message: /fault of its own/ }],
    [{ status: 500, reason: 'internalError' }, { code: 'KOL_SINK_UNAVAILABLE' }],
    [{ status: 403, reason: 'accessDenied' }, { code: 'KOL_SINK_AUTH', class: 'terminal', message: /roles\/bigquery\.jobUser on project example-project and roles\/bigquery\.dataEditor on dataset/ }],
    [{ status: 403, reason: 'accessNotConfigured' }, { code: 'KOL_SINK_AUTH', message: /enable bigquery\.googleapis\.com/ }],
    [{ status: 401, reason: 'authError' }, { code: 'KOL_SINK_AUTH', message: /refused the login/ }],
    [{ status: 403, reason: 'billingNotEnabled' }, { code: 'KOL_SINK_REFUSED', class: 'terminal', message: /billing/ }],
    [{ status: 403, reason: 'responseTooLarge' }, { code: 'KOL_SINK_REFUSED' }],
    [{ status: 413, reason: 'uploadTooLarge' }, { code: 'KOL_SINK_REFUSED' }],
    [{ status: 400, reason: 'resourcesExceeded', ofJob: true }, { code: 'KOL_SINK_BUSY', class: 'transient' }],
    [{ status: 400, reason: 'stopped', ofJob: true }, { code: 'KOL_SINK_BUSY' }],
    [{ status: 400, reason: 'jobBackendError', ofJob: true }, { code: 'KOL_SINK_UNAVAILABLE' }],
    [{ status: 400, reason: 'jobRateLimitExceeded', ofJob: true }, { code: 'KOL_SINK_UNAVAILABLE' }],
    [{ status: 400, reason: 'invalidQuery', ofJob: true }, { code: 'KOL_SINK_SCHEMA', class: 'terminal', message: /look at the failed job/ }],
    [{ status: 400, reason: 'invalid' }, { code: 'KOL_SINK_SCHEMA', message: /look at the failed job/ }],
    [{ status: 400, reason: 'invalidQuery', message: `Could not serialize access to table due to concurrent update ${canary}`, ofJob: true }, { code: 'KOL_SINK_BUSY', message: /changed by others/ }],
    [{ status: 418, reason: 'unheardOf' }, { code: 'KOL_SINK_BUSY', class: 'transient', message: /unheardOf, HTTP 418/ }],
  ];
  for (const [fault, expected] of cases) {
    server.fault = ({ kind }: Asked) => (kind === 'MERGE' ? { message, ...fault } : undefined);
    t.match(await failure(sink.write(change(rows(1, { v: fault.reason })), signal)), expected, `${fault.status} ${fault.reason}`);
  }
  let times = 1;
  server.fault = ({ kind }) => (kind === 'MERGE' && times-- > 0 ? { status: 503, reason: 'backendError' } : undefined);
  t.match(await sink.write(change(rows(1, { v: 'at last' })), signal), { written: 1 }, 'once is nothing');
  server.fault = undefined;
  server.tokens.clear();
  t.match(await failure(sink.write(change(rows(1, { v: 'more' })), signal)), { code: 'KOL_SINK_AUTH', message: /refused the login/ });
  server.tokens.add(`ya29.${canary}`);
});

t.test('a probe says what is there and what is missing, and creates nothing', async (t) => {
  const place = await bigqueryPlace(server);
  const start = server.asked.length;
  const probe = async (options: OpenBigQueryOptions = {}) => (await opened(t, place, options)).probe(signal);
  const denied = (kind: string) => ({ kind: of, dryRun }: Asked) => (of === kind && dryRun ? { status: 403, reason: 'accessDenied', message: `Permission denied ${canary}` } : undefined);
  t.strictSame(await probe(), { message: `BigQuery in EU: login succeeded, the first export will create table example-project.${place.dataset}.${table}`, isPassing: true });
  t.match(await failure(probe({ spec: existing })), { code: 'KOL_SINK_SCHEMA', message: /does not exist, and spec\.provisioning\.mode existing creates nothing/ });
  t.match(await failure(probe({ spec: { bigquery: { dataset: 'none' } } })), { code: 'KOL_SINK_SCHEMA', message: /dataset example-project\.none does not exist: create it/ });
  server.fault = denied('CREATE');
  t.match(await failure(probe()), { code: 'KOL_SINK_AUTH', message: /lacks a permission/ });
  server.fault = denied('MERGE');
  await server.sql(`CREATE TABLE ${place.sqlName} (${columns})`);
  t.match(await failure(probe({ spec: existing })), { code: 'KOL_SINK_AUTH' });
  server.fault = undefined;
  t.match(await probe({ spec: existing }), { message: /has the columns and the rights that exports need; an export of no rows would be billed for 10485760 bytes$/ });
  t.match(await failure(probe({ spec: { options: { maximumBytesBilled: '1000' } } })), { code: 'KOL_SINK_CONFIG', message: /maximumBytesBilled allows: raise it/ });
  t.strictSame(jobsSince(start), []);
  await server.sql(`ALTER TABLE ${place.sqlName} DROP COLUMN cluster, ALTER COLUMN exported_at TYPE text, ADD COLUMN owner text NOT NULL`);
  t.match(await failure(probe()), { code: 'KOL_SINK_SCHEMA', message: /lacks column cluster of type STRING; type TIMESTAMP at column exported_at, which is STRING; a default at column owner/ });
  for (const [facts, says] of [
    [{ type: 'VIEW' }, /is a view/],
    [{ requirePartitionFilter: true }, /lacks .*require_partition_filter = FALSE/],
    [{ timePartitioning: { type: 'DAY', expirationMs: '1' } }, /lacks .*partitions that do not expire/],
  ] as const) {
    server.facts = facts;
    t.match(await failure(probe()), { code: 'KOL_SINK_SCHEMA', message: says });
  }
  server.facts = {};
});

t.test('what keeps BigQuery from being reached is named', async (t) => {
  const place = await bigqueryPlace(server);
  const unknown = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
  const nowhere = await freePort();
  const cases: [OpenBigQueryOptions, object][] = [
    [{ mapHosts: new Map(), lookupAll: () => Promise.reject(unknown) }, { code: 'KOL_SINK_UNAVAILABLE', message: /"bigquery\.googleapis\.com" cannot be resolved \(ENOTFOUND\)/ }],
    [{ mapHosts: new Map(), lookupAll: async () => ['169.254.169.254'] }, { code: 'KOL_SINK_ADDRESS', class: 'terminal', message: /metadata service/ }],
    [{ mapHosts: new Map([['bigquery.googleapis.com:443', { host: '127.0.0.1', port: nowhere }]]) }, { code: 'KOL_SINK_UNAVAILABLE', message: /BigQuery cannot be reached, nothing listens there/ }],
    [{ spec: { tls: { caBundle: Buffer.from(createAuthority('somebody else').certificate).toString('base64') } } }, { code: 'KOL_SINK_CONFIG', message: /comes from an authority that is not trusted/ }],
  ];
  for (const [options, expected] of cases) {
    const sink = await opened(t, place, options);
    // With a token there is nothing to intercept, and sockets are as they are.
    await failure(sink.probe(signal));
    nock.restore();
    t.match(await failure(sink.probe(signal)), expected);
    nock.activate();
  }
});

t.test('a row that is nested too deep holds up no other', async (t) => {
  const place = await bigqueryPlace(server);
  const sink = await opened(t, place);
  const nested = (levels: number) => `{"v":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  await sink.write(whole([row('deep', { v: 1 }), row('b')]), signal);
  const text = { v: `${'[{'.repeat(600)}"\\"` };
  for (const write of [change, whole]) {
    t.match(await sink.write(write([row('deep', nested(499)), row('b', text), row('c', nested(498))]), signal), { confirmed: 2, rejected: [{ key: { targetName: 'web', uid: 'deep' }, code: 'NestedTooDeep', message: 'nested deeper than 500 levels' }] });
    const stored = await place.contents();
    t.strictSame([uids(stored), attribute(stored[0]), attribute(stored[2])], [['b', 'c', 'deep'], text.v, 1], 'what is there of it stays');
  }
});

t.test('a table that is gone is filled anew, by a pass that has everything', async (t) => {
  for (const [spec, kind] of [[{}, 'transient'], [existing, 'terminal']] as const) {
    const place = await bigqueryPlace(server);
    await (await opened(t, place)).write(whole(rows(2)), signal);
    const sink = await opened(t, place, { spec });
    await sink.write(change(rows(1, { v: 1 })), signal);
    await server.dropTable(place.dataset, table);
    const lost = { code: 'KOL_SINK_DESTINATION_LOST', class: kind };
    t.match(await failure(sink.write(change(rows(1, { v: 2 })), signal)), lost);
    t.match(await failure(sink.check(identity(), signal)), lost);
    t.strictSame(await sink.remove(identity(), true, signal), { deleted: 0 });
    if (kind === 'terminal') t.match(await failure(sink.write(whole(rows(2)), signal)), { code: 'KOL_SINK_SCHEMA' });
    else t.match(await sink.write(whole(rows(2)), signal), { written: 2 });
  }
});

t.test('its client is loaded when it is needed, and no sooner', async (t) => {
  const registry = JSON.stringify(join(import.meta.dirname, '../../controller/sinks/registry.ts'));
  const program = `import { createRequire } from 'node:module';
    import { loadBackend } from ${registry};
    const isLoaded = () => Object.keys(createRequire(${registry}).cache).some((file) => file.includes('@google-cloud/bigquery'));
    await loadBackend('postgres');
    const before = isLoaded();
    await loadBackend('bigquery');
    console.log(before, isLoaded());`;
  const { stdout, stderr } = await runCommand(process.execPath, ['--input-type=module', '--eval', program], { env: plainEnvironment() });
  t.equal(stdout, 'false true\n', stderr);
});

t.test('all rows are told for people who want to know, page by page', async (t) => {
  const place = await bigqueryPlace(server);
  const sink = await opened(t, place);
  const all = rows(10_500);
  await sink.write(whole(all), signal);
  const held: HeldRow[] = [];
  for await (const one of sink.held!(identity(), signal)) held.push(one);
  t.equal(held.length, 10_500);
  t.strictSame(held[7], { key: { targetName: 'web', uid: 'u000007' }, kind: 'Pod', namespace: 'ns', name: 'u000007', hash: all[7]!.hash });
});

t.test('settings reach the jobs, and those that cannot be used are named', async (t) => {
  const place = await bigqueryPlace(server);
  const start = server.asked.length;
  const sink = await opened(t, place, { spec: { options: { labels: 'team=data, env=prod', maximumBytesBilled: '20000000000' } } });
  await sink.write(whole(rows(1)), signal);
  const merge = server.asked.slice(start).find(({ kind }) => kind === 'MERGE');
  t.match(merge?.configuration, { labels: { team: 'data', env: 'prod' }, jobTimeoutMs: /^\d+$/, query: { maximumBytesBilled: '20000000000', useLegacySql: false, parameterMode: 'NAMED' } });
  const refusals: [OpenBigQueryOptions, RegExp][] = [
    [{ spec: { options: { maximumBytesBilled: '1 GB' } } }, /maximumBytesBilled is not a whole number/],
    [{ spec: { options: { labels: 'Team=data' } } }, /labels is not a list/],
    [{ spec: { bigquery: { table: 'a`b' } } }, /spec\.bigquery\.table has a character/],
    [{ spec: { bigquery: { dataset: ' ' } } }, /spec\.bigquery\.dataset is empty/],
    [{ secret: { 'credentials.json': `{"type":"${canary}` } }, /is not JSON/],
    [{ secret: { 'credentials.json': JSON.stringify({ ...keyFile, type: 'external_account', credential_source: { file: '/etc/passwd' } }) } }, /is not the key file of a service account/],
  ];
  for (const [options, says] of refusals) t.match(await failure(openBigQuery(server.port, options)), { code: 'KOL_SINK_CONFIG', message: says });
  t.match(await failure(openBigQuery(server.port, { secret: { key: 'x' } })), { code: 'KOL_SINK_SECRET_KEY', message: /credentials\.json/ });
  const { sink: broken } = await place.opened({ secret: { 'credentials.json': JSON.stringify({ ...keyFile, private_key: `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----` }) } });
  t.match(await failure(broken.probe(signal)), { code: 'KOL_SINK_CONFIG', message: /private_key in the key file cannot be read/ });
  await broken.close();
});

t.test('without a Secret the identity is that of the process', async (t) => {
  const place = await bigqueryPlace(server);
  const file = join(t.testdir(), 'key.json');
  writeFileSync(file, JSON.stringify(keyFile));
  const env = process.env;
  t.teardown(() => (process.env = env));
  const spec = { bigquery: { secretRef: undefined } } as unknown as NonNullable<OpenBigQueryOptions['spec']>;
  process.env = { ...env, METADATA_SERVER_DETECTION: 'none', HOME: t.testdirName, GOOGLE_APPLICATION_CREDENTIALS: '' };
  t.match(await failure((await opened(t, place, { spec })).probe(signal)), { code: 'KOL_SINK_AUTH', message: /this process has no identity at Google Cloud: set up workload identity/ });
  process.env = { ...process.env, GOOGLE_APPLICATION_CREDENTIALS: file };
  t.match(await (await opened(t, place, { spec })).probe(signal), { isPassing: true });
});
