import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from } from 'pg-copy-streams';

const key = 'inventory_namespace, inventory_name, target_name, source_uid, cluster';
const columns = `${key}, resource_namespace, payload, exported_at, payload_sha256`;
const names = columns.split(', ');
const linesAWrite = 1_000;

/** Milliseconds of a plain COPY into a temporary table and a merge from there, of the same rows into an empty table of the same shape. */
export async function bareCopyAndMerge(client: pg.Client, table: string): Promise<number> {
  const { rows } = await client.query<Record<string, string>>(`SELECT ${names.map((name) => `${name}::text AS ${name}`).join(', ')} FROM ${table}`);
  // The database writes JSON with spaces.
  for (const row of rows) row['payload'] = JSON.stringify(JSON.parse(row['payload']!));
  await client.query(`CREATE TABLE bare_copy (LIKE ${table} INCLUDING ALL)`);
  const since = performance.now();
  await client.query('BEGIN');
  await client.query(`CREATE TEMP TABLE staging ON COMMIT DROP AS SELECT ${columns} FROM bare_copy WITH NO DATA`);
  const lines = function* (): Generator<string> {
    for (let start = 0; start < rows.length; start += linesAWrite) {
      yield rows.slice(start, start + linesAWrite).map((row) => `${names.map((name) => escape(row[name]!)).join('\t')}\n`).join('');
    }
  };
  await pipeline(Readable.from(lines()), client.query(from(`COPY staging (${columns}) FROM STDIN`)));
  await client.query(`INSERT INTO bare_copy (${columns}) SELECT ${columns} FROM staging
    ON CONFLICT (${key}) DO UPDATE SET payload = excluded.payload, exported_at = excluded.exported_at, payload_sha256 = excluded.payload_sha256`);
  await client.query('COMMIT');
  const elapsed = performance.now() - since;
  await client.query('DROP TABLE bare_copy');
  return elapsed;
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n');
}
