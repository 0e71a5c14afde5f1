import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCertificate, type IssuedCertificate } from '../../certs/x509.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { canary } from './conformance.ts';
import { authority, caBundle, host, type Address, type FailurePlace } from './connection-failures.ts';
import { columns, fourFields } from './postgres-place.ts';

/** PostgreSQL over TLS. */
export async function postgresFailures(onEnd: (end: () => Promise<void> | void) => void): Promise<FailurePlace> {
  const folder = mkdtempSync(join(tmpdir(), 'kollect-test-failures-'));
  const files = ['tls.crt', 'tls.key'].map((name) => join(folder, name)) as [string, string];
  const write = ({ certificate, key }: IssuedCertificate): void => {
    for (const [at, text] of [certificate, key].entries()) writeFileSync(files[at]!, text, { mode: 0o600 });
  };
  write(issueCertificate(authority, { hosts: [host] }));
  if (process.getuid?.() === 0) for (const path of [folder, ...files]) chownSync(path, 65_534, 65_534);
  const server = await startPostgres({ settings: { ssl: 'on', ssl_cert_file: files[0], ssl_key_file: files[1] } });
  onEnd(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  const database = await server.createDatabase();
  await server.query(`CREATE ROLE exporter LOGIN PASSWORD '${canary}'`);
  const sql = (text: string) => server.query(text, [], database);
  const dsn = (password: string, to = database) => ({ host: at, port }: Address) => ({ dsn: `postgres://exporter:${password}@${at}:${port}/${to}` });
  const of = (schema: string, mode: 'ensure' | 'existing') => () => ({ postgres: { databaseRef: { name: 'dsn' }, schema, table: 'items' }, provisioning: { mode } });
  await sql(`CREATE SCHEMA inventories; GRANT USAGE, CREATE ON SCHEMA inventories TO exporter`);
  return {
    name: 'postgres',
    kind: 'KollectDatabaseSink',
    port: server.port,
    spec: () => ({ type: 'postgres', tls: { caBundle }, ...of('inventories', 'ensure')() }),
    secret: dsn(canary),
    wrong: dsn(`${canary}-wrong`),
    show: (pair) => {
      write(pair);
      return server.query('SELECT pg_reload_conf()');
    },
    faults: [
      {
        what: 'a database that does not exist',
        secret: dsn(canary, 'later'),
        code: 'KOL_SINK_AUTH',
        says: /the database that the connection string names does not exist: create it, or correct the Secret/,
        mend: async () => {
          await server.createDatabase('later');
          await server.query('CREATE SCHEMA inventories; GRANT USAGE, CREATE ON SCHEMA inventories TO exporter', [], 'later');
        },
      },
      {
        what: 'a schema that does not exist',
        spec: of('later', 'ensure'),
        code: 'KOL_SINK_SCHEMA',
        says: /schema "later" does not exist: create it, or correct spec\.postgres\.schema/,
        mend: () => sql('CREATE SCHEMA later; GRANT USAGE, CREATE ON SCHEMA later TO exporter'),
      },
      {
        what: 'a table that may not be created',
        code: 'KOL_SINK_AUTH',
        says: /table "inventories"\."items" does not exist and the user of the connection string lacks CREATE on schema "inventories": grant it, or create the table/,
        occur: () => sql('REVOKE CREATE ON SCHEMA inventories FROM exporter'),
        mend: () => sql('GRANT CREATE ON SCHEMA inventories TO exporter'),
      },
      {
        what: 'a table that is to be there and is not',
        spec: of('inventories', 'existing'),
        code: 'KOL_SINK_SCHEMA',
        says: /table "inventories"\."items" does not exist, and spec\.provisioning\.mode existing creates nothing: create it/,
        mend: () => sql(`CREATE TABLE inventories.items (${columns}, PRIMARY KEY (${fourFields})); GRANT SELECT, INSERT, UPDATE, DELETE ON inventories.items TO exporter`),
      },
      {
        what: 'rights that are missing',
        code: 'KOL_SINK_AUTH',
        says: /lacks INSERT, DELETE for table "inventories"\."items": grant it/,
        occur: () => sql('REVOKE INSERT, DELETE ON inventories.items FROM exporter'),
        mend: () => sql('GRANT INSERT, DELETE ON inventories.items TO exporter'),
      },
      {
        what: 'row security without a policy for the user',
        code: 'KOL_SINK_AUTH',
        says: /row security keeps the user of the connection string from UPDATE, DELETE at all rows of table "inventories"\."items": create policies/,
        occur: () =>
          sql(`ALTER TABLE inventories.items ENABLE ROW LEVEL SECURITY; CREATE POLICY reads ON inventories.items FOR SELECT USING (true);
               CREATE POLICY others ON inventories.items TO postgres USING (true); CREATE POLICY inserts ON inventories.items FOR INSERT TO exporter WITH CHECK (true)`),
        mend: () => sql('CREATE POLICY all_of_it ON inventories.items TO exporter USING (true)'),
      },
    ],
    // TLS is on offer, and its first record has 16,000 bytes.
    beginning: 'S\x16\x03\x03\x3e\x80\x02',
    stranger: { code: 'KOL_SINK_UNAVAILABLE', says: /: see whether it is PostgreSQL that listens there/ },
  };
}
