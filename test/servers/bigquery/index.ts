import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import type { IssuedCertificate } from '../../../certs/x509.ts';
import type { Postgres } from '../postgres/index.ts';
import { startTranslator, type ParameterType } from './translator.ts';

/** An error as BigQuery has it. `ofJob`: the job is taken, and ends with it. */
export interface Fault {
  status: number;
  reason: string;
  message?: string;
  ofJob?: boolean;
}

export interface Asked {
  method: string;
  path: string;
  /** Of a job: `MERGE`, `SELECT`, `CREATE`, `LOAD` … */
  kind?: string;
  /** Judged and not run. */
  dryRun?: boolean;
  sql?: string;
  configuration?: Configuration & Record<string, unknown>;
  lost?: 'silence' | 'reset';
}

export interface FakeBigQuery {
  port: number;
  project: string;
  /** What was asked, in order. */
  asked: Asked[];
  /** Tokens that it knows. */
  tokens: Set<string>;
  /** What it answers in place of doing it; for as long as it is there. */
  fault: ((asked: Asked) => Fault | undefined) | undefined;
  /** The change before which so many others are taken is done, and from then on every connection is reset; undefined when none is. */
  resetAfter: number | undefined;
  /** The next change is done, and its answer lost: none ever comes, or the connection is reset. */
  loseNext: 'silence' | 'reset' | undefined;
  /** The next change waits until it is cancelled. */
  holdNext: boolean;
  /** How many wait. */
  held(): number;
  /** More that is said of every table. */
  facts: object;
  createDataset(name: string): Promise<void>;
  dropTable(dataset: string, table: string): Promise<void>;
  sql<R extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<R[]>;
  stop(): Promise<void>;
}

interface Job {
  jobReference: { projectId: string; jobId: string; location: string };
  status: { state: 'RUNNING' | 'DONE'; errorResult?: { reason: string; message: string }; errors?: { reason: string; message: string }[] };
  statistics: object;
  configuration: object;
  rows?: Record<string, unknown>[];
  fields?: string[];
  cancel?: () => void;
}

interface Configuration {
  dryRun?: boolean;
  query?: { query: string; queryParameters?: { name: string; parameterType: ApiType; parameterValue: ApiValue }[]; maximumBytesBilled?: string };
  load?: { destinationTable: { datasetId: string; tableId: string } };
}

interface ApiType {
  type: string;
  arrayType?: ApiType;
  structTypes?: { name: string; type: ApiType }[];
}

interface ApiValue {
  value?: string | null;
  arrayValues?: ApiValue[];
  structValues?: Record<string, ApiValue>;
}

class Refused extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.message);
    this.fault = fault;
  }
}

const location = 'EU';
/** What every statement is said to read. */
const billed = 10_485_760;

/**
 * A double of BigQuery's REST API, as far as it is used here, at 127.0.0.1. Its SQL is read by the grammar of BigQuery, translated into PostgreSQL's, and run there; datasets
 * are schemas of one database.
 */
export async function startBigQuery({ postgres, certificate, project = 'example-project' }: { postgres: Postgres; certificate: IssuedCertificate; project?: string }): Promise<FakeBigQuery> {
  const translator = await startTranslator();
  const pool = new pg.Pool({ connectionString: postgres.dsn(await postgres.createDatabase()), max: 8 });
  pool.on('error', () => undefined);
  await pool.query(`CREATE FUNCTION error(message text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', message; END $$`);
  const jobs = new Map<string, Job>();
  /** How often each table was changed. */
  const changes = new Map<string, number>();
  const isDown = (): boolean => fake.resetAfter !== undefined && fake.resetAfter < 0;
  let held = 0;

  const fake: FakeBigQuery = {
    port: 0,
    project,
    asked: [],
    tokens: new Set(),
    fault: undefined,
    resetAfter: undefined,
    loseNext: undefined,
    holdNext: false,
    held: () => held,
    facts: {},
    createDataset: async (name) => void (await pool.query(`CREATE SCHEMA ${pg.escapeIdentifier(name)}`)),
    dropTable: async (dataset, table) => void (await pool.query(`DROP TABLE ${pg.escapeIdentifier(dataset)}.${pg.escapeIdentifier(table)}`)),
    sql: async <R extends object>(text: string, values: readonly unknown[] = []) => (await pool.query<R & pg.QueryResultRow>(text, [...values])).rows,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      translator.stop();
      await pool.end();
    },
  };

  const runQuery = async (job: Job, { query, dryRun }: Configuration): Promise<void> => {
    const parameters = Object.fromEntries((query?.queryParameters ?? []).map(({ name, parameterType }) => [name, typeOf(parameterType)]));
    const values = new Map((query?.queryParameters ?? []).map(({ name, parameterType, parameterValue }) => [name, valueOf(parameterType, parameterValue)]));
    const { sql, names, kind } = await translator.translate(query?.query ?? '', parameters).catch((error: Error) => {
      throw new Refused({ status: 400, reason: 'invalidQuery', message: `Syntax error: ${error.message}` });
    });
    const client = await pool.connect();
    try {
      if (dryRun) await client.query('BEGIN');
      const { rows, rowCount, fields } = await client.query<Record<string, unknown>>(sql, names.map((name) => values.get(name))).finally(() => (dryRun ? client.query('ROLLBACK') : undefined));
      const count = (action: string): number => (kind === 'MERGE' ? rows.filter(({ merge_action: of }) => of === action).length : kind === action ? (rowCount ?? 0) : 0);
      job.statistics = {
        totalBytesProcessed: String(billed),
        query: { totalBytesProcessed: String(billed), ...(kind !== 'SELECT' && { dmlStats: { insertedRowCount: String(count('INSERT')), updatedRowCount: String(count('UPDATE')), deletedRowCount: String(count('DELETE')) } }) },
      };
      if (kind === 'SELECT') {
        job.rows = rows;
        job.fields = fields.map(({ name }) => name);
      }
      for (const name of (query?.query ?? '').matchAll(/`[^`]+`\.`([^`]+)`\.`([^`]+)`/g)) if (kind !== 'SELECT' && !dryRun) touch(`${name[1]}.${name[2]}`);
    } finally {
      client.release();
    }
  };

  const runLoad = async (job: Job, { load }: Configuration, media: string): Promise<void> => {
    const { datasetId, tableId } = load!.destinationTable;
    const name = `${pg.escapeIdentifier(datasetId)}.${pg.escapeIdentifier(tableId)}`;
    const lines = media.split('\n').filter((line) => line !== '');
    const { rowCount } = await pool.query(`INSERT INTO ${name} SELECT * FROM json_populate_recordset(NULL::${name}, $1::json)`, [`[${lines.join(',')}]`]);
    job.statistics = { load: { outputRows: String(rowCount) } };
    touch(`${datasetId}.${tableId}`);
  };

  const touch = (name: string): void => void changes.set(name, (changes.get(name) ?? 0) + 1);

  const insert = async (asked: Asked, body: { jobReference?: Partial<Job['jobReference']>; configuration: Configuration }, media: string | undefined): Promise<Job> => {
    const { configuration } = body;
    const { dryRun = false, query } = configuration;
    const kind = media === undefined ? (/^\s*(\w+)/.exec(query?.query ?? '')?.[1] ?? '') : 'LOAD';
    Object.assign(asked, { kind, dryRun, ...(query && { sql: query.query }), configuration: { ...configuration } } satisfies Partial<Asked>);
    const fault = fake.fault?.(asked);
    if (fault && !fault.ofJob) throw new Refused(fault);
    const jobId = body.jobReference?.jobId ?? 'none';
    if (jobs.has(jobId) && !dryRun) throw new Refused({ status: 409, reason: 'duplicate', message: `Already Exists: Job ${project}:${location}.${jobId}` });
    if (query?.maximumBytesBilled !== undefined && Number(query.maximumBytesBilled) < billed) {
      throw new Refused({ status: 400, reason: 'bytesBilledLimitExceeded', message: `Query exceeded limit for bytes billed: ${query.maximumBytesBilled}. ${billed} or higher required.` });
    }
    const job: Job = { jobReference: { projectId: project, jobId, location }, status: { state: 'RUNNING' }, statistics: {}, configuration };
    if (!dryRun) jobs.set(jobId, job);
    const isChange = kind !== 'SELECT' && !dryRun;
    if (isChange && fake.holdNext) {
      fake.holdNext = false;
      held++;
      job.cancel = () => {
        held--;
        finish(job, { status: 0, reason: 'stopped', message: 'Job execution was cancelled: User requested cancellation' });
      };
      return job;
    }
    try {
      if (fault) throw new Refused(fault);
      await (media === undefined ? runQuery(job, configuration) : runLoad(job, configuration, media));
      finish(job);
    } catch (error) {
      const ended = faultOf(error);
      if (dryRun) throw new Refused(ended);
      finish(job, ended);
    }
    if (isChange && fake.loseNext) {
      asked.lost = fake.loseNext;
      fake.loseNext = undefined;
    }
    if (isChange && fake.resetAfter !== undefined) fake.resetAfter--;
    return job;
  };

  const answer = async (asked: Asked, url: URL, request: IncomingMessage, body: Buffer): Promise<object> => {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    if (!fake.tokens.has(token)) throw new Refused({ status: 401, reason: 'authError', message: 'Request had invalid authentication credentials.' });
    const [, upload, path = ''] = /^(\/upload)?\/bigquery\/v2\/projects\/[^/]+\/(.*)$/.exec(url.pathname) ?? [];
    const { method } = asked;
    if (method === 'POST' && path === 'jobs') {
      const { head, media } = upload ? parts(body, request.headers['content-type'] ?? '') : { head: body.toString('utf8'), media: undefined };
      return await insert(asked, JSON.parse(head) as Parameters<typeof insert>[1], media);
    }
    const fault = fake.fault?.(asked);
    if (fault) throw new Refused(fault);
    const [, what, id = '', cancels] = /^(jobs|queries)\/([^/]+)(\/cancel)?$/.exec(path) ?? [];
    if (what) {
      const job = jobs.get(id);
      if (!job) throw new Refused({ status: 404, reason: 'notFound', message: `Not found: Job ${project}:${location}.${id}` });
      if (cancels) {
        job.cancel?.();
        return { kind: 'bigquery#jobCancelResponse', job: told(job) };
      }
      if (what === 'jobs') return told(job);
      if (job.status.errorResult) throw new Refused({ status: 400, ...job.status.errorResult });
      return results(job, url.searchParams);
    }
    const [, dataset = '', isTables, table] = /^datasets\/([^/]+)(\/tables)?(?:\/(.+))?$/.exec(path) ?? [];
    if ((await fake.sql('SELECT FROM pg_namespace WHERE nspname = $1', [dataset])).length === 0) throw new Refused({ status: 404, reason: 'notFound', message: `Not found: Dataset ${project}:${dataset}` });
    if (!isTables) return { kind: 'bigquery#dataset', location };
    if (method === 'POST') {
      const { tableReference, schema } = JSON.parse(body.toString('utf8')) as { tableReference: { tableId: string }; schema: { fields: { name: string; type: string }[] } };
      const columns = schema.fields.map(({ name, type }) => `${pg.escapeIdentifier(name)} ${type === 'INT64' ? 'bigint' : 'text'}`);
      await pool.query(`CREATE TABLE ${pg.escapeIdentifier(dataset)}.${pg.escapeIdentifier(tableReference.tableId)} (${columns.join(', ')})`);
      return { kind: 'bigquery#table' };
    }
    const name = decodeURIComponent(table ?? '');
    const found = await fake.sql<{ name: string; type: string; required: boolean; oid: string }>(
      `SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, a.attnotnull AS required, c.oid::text AS oid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
      [dataset, name],
    );
    if (found.length === 0) throw new Refused({ status: 404, reason: 'notFound', message: `Not found: Table ${project}:${dataset}.${name}` });
    if (method === 'DELETE') {
      await fake.dropTable(dataset, name);
      return {};
    }
    const fields = found.map(({ name, type, required }) => ({ name, type: apiTypes[type] ?? type.toUpperCase(), mode: required ? 'REQUIRED' : 'NULLABLE' }));
    return { kind: 'bigquery#table', type: 'TABLE', location, creationTime: found[0]!.oid, lastModifiedTime: String(changes.get(`${dataset}.${name}`) ?? 0), schema: { fields }, ...fake.facts };
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'https://bigquery.googleapis.com');
    const asked: Asked = { method: request.method ?? '', path: url.pathname };
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (isDown()) return void request.socket.destroy();
    fake.asked.push(asked);
    let [status, body]: [number, object] = [200, {}];
    try {
      body = await answer(asked, url, request, Buffer.concat(chunks));
    } catch (error) {
      const { status: of, reason, message = reason } = faultOf(error);
      [status, body] = [of === 0 ? 400 : of, { error: { code: of, message, errors: [{ message, domain: 'global', reason }], status: 'UNKNOWN' } }];
    }
    if (isDown() || asked.lost === 'reset') return void request.socket.destroy();
    if (asked.lost) return;
    response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' }).end(JSON.stringify(body));
  };

  const server = createServer({ cert: certificate.certificate, key: certificate.key }, (request, response) => {
    serve(request, response).catch(() => request.socket.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  fake.port = (server.address() as AddressInfo).port;
  return fake;
}

function finish(job: Job, fault?: Fault): void {
  delete job.cancel;
  const errorResult = fault && { reason: fault.reason, message: fault.message ?? fault.reason };
  job.status = { state: 'DONE', ...(errorResult && { errorResult, errors: [errorResult] }) };
}

function told({ jobReference, status, statistics }: Job): object {
  return { kind: 'bigquery#job', jobReference, status, statistics };
}

function results({ jobReference, status, rows = [], fields = [] }: Job, query: URLSearchParams): object {
  if (status.state !== 'DONE') return { kind: 'bigquery#getQueryResultsResponse', jobReference, jobComplete: false };
  const [start, count] = [Number(query.get('pageToken') ?? 0), Number(query.get('maxResults') ?? 10_000)];
  const page = rows.slice(start, start + count);
  return {
    kind: 'bigquery#getQueryResultsResponse',
    jobReference,
    jobComplete: true,
    totalRows: String(rows.length),
    schema: { fields: fields.map((name) => ({ name, type: 'STRING' })) },
    rows: page.map((row) => ({ f: fields.map((name) => ({ v: row[name] === null || row[name] === undefined ? null : String(row[name]) })) })),
    ...(start + count < rows.length && { pageToken: String(start + count) }),
  };
}

const apiTypes: Readonly<Record<string, string>> = { text: 'STRING', jsonb: 'JSON', bytea: 'BYTES', bigint: 'INTEGER', 'timestamp with time zone': 'TIMESTAMP' };

function typeOf({ type, arrayType, structTypes }: ApiType): ParameterType {
  if (arrayType?.structTypes) return { struct: Object.fromEntries(arrayType.structTypes.map(({ name, type }) => [name, type.type])) };
  return arrayType ? { array: arrayType.type } : structTypes ? { struct: {} } : type;
}

/** As a parameter of PostgreSQL. */
function valueOf({ arrayType }: ApiType, { value, arrayValues = [] }: ApiValue): unknown {
  if (!arrayType) return value ?? null;
  if (!arrayType.structTypes) return arrayValues.map((one) => one.value);
  return JSON.stringify(arrayValues.map(({ structValues = {} }) => Object.fromEntries(Object.entries(structValues).map(([name, of]) => [name, of.value]))));
}

/** What BigQuery would call an error of PostgreSQL. */
function faultOf(error: unknown): Fault {
  if (error instanceof Refused) return error.fault;
  const { code, message } = error as { code?: string; message: string };
  if (code === '42P01') return { status: 404, reason: 'notFound', message: `Not found: Table ${message}` };
  if (code === '21000') return { status: 400, reason: 'invalidQuery', message: 'UPDATE/MERGE must match at most one source row for each target row' };
  return { status: 400, reason: 'invalidQuery', message };
}

/** Of `multipart/related`: what describes the upload, and what is uploaded. */
function parts(body: Buffer, type: string): { head: string; media: string } {
  const boundary = `--${/boundary=(\S+)/.exec(type)?.[1]}`;
  const [, head = '', media = ''] = body.toString('utf8').split(boundary);
  const content = (part: string): string => part.slice(part.indexOf('\r\n\r\n') + 4, -2);
  return { head: content(head), media: content(media) };
}
