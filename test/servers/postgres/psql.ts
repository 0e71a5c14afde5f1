#!/usr/bin/env node
import pg from 'pg';

// The packages with the server come without its client. This is the part of psql that the documents use: `psql URL -c SQL`, and with
// -Atc the rows alone, one a line.

const [url = '', flags, sql = ''] = process.argv.slice(2);
if (flags !== '-c' && flags !== '-Atc') throw new Error('usage: psql URL -c|-Atc SQL');
const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => (text: unknown) => String(text) } });
await client.connect();
try {
  const { fields, rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
  const lines = flags === '-c' ? [fields.map(({ name }) => name), ...rows] : rows;
  process.stdout.write(lines.map((values) => `${values.map((value) => value ?? '').join('|')}\n`).join(''));
} finally {
  await client.end();
}
