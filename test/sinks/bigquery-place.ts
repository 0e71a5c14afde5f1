import { generateKeyPairSync, randomUUID } from 'node:crypto';
import nock from 'nock';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { openSink, type OpenedSink, type OpenSinkOptions } from '../../controller/sinks/runtime/open-sink.ts';
import type { KollectDatabaseSinkSpec } from '../../shared/api/kollect-database-sink.ts';
import { startBigQuery, type FakeBigQuery } from '../servers/bigquery/index.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres, type Postgres } from '../servers/postgres/index.ts';
import { canary, type Destination, type StoredRow } from './conformance.ts';

export const apiHost = 'bigquery.googleapis.com';
export const table = 'inventory items';
const authority = createAuthority('authority of Google');
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
/** What is given for the key. */
const token = `ya29.${canary}`;

/** A key file that Google knows. */
export const keyFile = { type: 'service_account', project_id: 'example-project', private_key_id: canary, private_key: privateKey, client_email: 'kollect@example-project.iam.gserviceaccount.com', token_uri: 'https://169.254.169.254/token' };

export interface BigQueryServer extends FakeBigQuery {
  postgres: Postgres;
}

/** The double at a real PostgreSQL, with a stand-in for the one endpoint of Google that gives tokens. */
export async function bigqueryServer(): Promise<BigQueryServer> {
  const postgres = await startPostgres();
  const fake = await startBigQuery({ postgres, certificate: issueCertificate(authority, { hosts: [apiHost] }) });
  fake.tokens.add(token);
  nock('https://oauth2.googleapis.com').persist().post('/token').reply(200, { access_token: token, expires_in: 3_600, token_type: 'Bearer' });
  const { stop } = fake;
  return Object.assign(fake, {
    postgres,
    stop: async () => {
      await stop();
      nock.cleanAll();
      nock.restore();
      await postgres.stop();
    },
  });
}

type Spec = Omit<Partial<KollectDatabaseSinkSpec>, 'bigquery'> & { bigquery?: Partial<NonNullable<KollectDatabaseSinkSpec['bigquery']>> };

export interface OpenBigQueryOptions extends Partial<Omit<OpenSinkOptions, 'sink' | 'readSecret'>> {
  spec?: Spec;
  secret?: Record<string, string>;
}

/** A KollectDatabaseSink that reads Secret `key`, opened as the controller does. The API is found at the double. */
export async function openBigQuery(port: number, { spec, secret = { 'credentials.json': JSON.stringify(keyFile) }, ...options }: OpenBigQueryOptions = {}): Promise<OpenedSink> {
  const data = Object.fromEntries(Object.entries(secret).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  return await openSink({ sink: sinkObject(spec), readSecret: async () => ({ metadata: { resourceVersion: '1' }, data }), policy: { allowPrivate: true, allowLoopback: true }, mapHosts: new Map([[`${apiHost}:443`, { host: '127.0.0.1', port }]]), ...options });
}

export function sinkObject(spec: Spec = {}) {
  return {
    kind: 'KollectDatabaseSink',
    metadata: { name: 'warehouse', namespace: 'team-a' },
    spec: { type: 'bigquery', connectionTest: true, tls: { caBundle: Buffer.from(authority.certificate).toString('base64') }, ...spec, bigquery: { project: 'example-project', dataset: 'inventory', table, secretRef: { name: 'key' }, ...spec.bigquery } },
  };
}

export interface BigQueryPlace extends Destination {
  dataset: string;
  /** In quotes, for PostgreSQL. */
  sqlName: string;
  opened(options?: OpenBigQueryOptions): Promise<OpenedSink>;
}

/** A dataset of its own. */
export async function bigqueryPlace(server: BigQueryServer): Promise<BigQueryPlace> {
  const dataset = `d${randomUUID().replaceAll('-', '')}`;
  await server.createDataset(dataset);
  const sqlName = `"${dataset}"."${table}"`;
  const opened: BigQueryPlace['opened'] = ({ spec, ...options } = {}) => openBigQuery(server.port, { spec: { ...spec, bigquery: { dataset, ...spec?.bigquery } }, ...options });
  const isThere = async (): Promise<boolean> => (await server.sql('SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1', [dataset])).length > 0;
  return {
    dataset,
    sqlName,
    opened,
    open: async (options = { installation: 'ours' }) => (await opened(options)).sink,
    contents: async () =>
      (await isThere())
        ? await server.sql<StoredRow>(
            `SELECT inventory_namespace || '/' || inventory_name AS inventory, cluster, target_name AS target, source_uid AS uid, payload::text AS payload, exported_at::text AS written
             FROM ${sqlName} ORDER BY 1, 2, 3, 4`,
          )
        : [],
    refuse: async () => undefined,
    touched: isThere,
    loseConfirmation: (later) => (server.resetAfter = later === Infinity ? undefined : later),
    loseAnswer: () => (server.loseNext = 'silence'),
    holdNextWrite: async () => {
      server.holdNext = true;
      return {
        waiting: () => eventually(() => server.held() === 1, { what: 'a job that waits' }).then(() => undefined),
        release: () => eventually(() => server.held() === 0, { what: 'the end of the cancelled job' }).then(() => undefined),
      };
    },
  };
}
