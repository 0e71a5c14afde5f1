import { randomUUID } from 'node:crypto';
import type { BigQueryApi } from './api.ts';
import type { Jobs } from './jobs.ts';
import type { SentRow } from './parameters.ts';
import { quoted, type TableName } from './settings.ts';
import { sentColumns } from './statements.ts';
import { datasetPath } from './table.ts';

/** Of one load job: few jobs, and some tens of megabytes in memory. */
const loadBytes = 32_000_000;
/** What a process that ends before it is done leaves behind is gone then. */
const expiresMs = 3_600_000;

/** Loads rows into a table of their own beside the other, runs `work` with it, and removes it. */
export async function withStaging<T>(api: BigQueryApi, jobs: Jobs, table: TableName, rows: Iterable<SentRow>, signal: AbortSignal, work: (staging: TableName) => Promise<T>): Promise<T> {
  const { project, dataset } = table;
  const name = `kollect_staging_${randomUUID().replaceAll('-', '')}`;
  const staging = { project, dataset, table: name, sql: quoted(project, dataset, name), title: `table ${project}.${dataset}.${name}` };
  const fields = [...Object.entries(sentColumns), ['position', 'INT64']].map(([column, type]) => ({ name: column, type }));
  const body = { tableReference: { projectId: project, datasetId: dataset, tableId: name }, schema: { fields }, expirationTime: String(Date.now() + expiresMs) };
  await api.send({ method: 'POST', path: `${datasetPath(table)}/tables`, body, signal });
  try {
    for (const lines of inPortions(rows)) await jobs.load({ dataset, table: name }, lines, signal);
    return await work(staging);
  } finally {
    // It expires by itself where this fails.
    const removal = api.send({ method: 'DELETE', path: `${datasetPath(table)}/tables/${name}`, signal: AbortSignal.timeout(5_000) });
    await removal.catch(() => undefined);
  }
}

function* inPortions(rows: Iterable<SentRow>): Generator<Buffer> {
  let lines: Buffer[] = [];
  let bytes = 0;
  let position = 0;
  for (const row of rows) {
    const line = Buffer.from(`${JSON.stringify({ ...row, position: position++ })}\n`);
    lines.push(line);
    bytes += line.length;
    if (bytes < loadBytes) continue;
    yield Buffer.concat(lines);
    lines = [];
    bytes = 0;
  }
  if (lines.length > 0) yield Buffer.concat(lines);
}
