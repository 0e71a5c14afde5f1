import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError, type BigQueryApi } from './api.ts';
import { isApiFault, isNotFound, isUnknownOutcome } from './errors.ts';
import type { QueryParameter } from './parameters.ts';
import type { ResolvedSettings } from './settings.ts';

interface JobReference {
  projectId: string;
  jobId: string;
  location?: string | undefined;
}

/** A job as the API describes it, the parts that are read. */
interface Job {
  jobReference: JobReference;
  status?: { state?: string; errorResult?: { reason?: string; message?: string } };
  statistics?: { totalBytesProcessed?: string; query?: { dmlStats?: { insertedRowCount?: string; updatedRowCount?: string; deletedRowCount?: string } } };
}

export interface Statement {
  sql: string;
  parameters: readonly QueryParameter[];
}

export interface Changed {
  inserted: number;
  updated: number;
  deleted: number;
}

/** A page of rows, each with the texts of its columns. */
export type ResultRow = Record<string, string | null>;

interface Results {
  jobComplete?: boolean;
  pageToken?: string;
  schema?: { fields?: { name: string }[] };
  rows?: { f: { v: string | null }[] }[];
}

/** Longer than any statement of ours takes; BigQuery ends the job then. */
const jobTimeoutMs = 1_800_000;
/** An answer that does not come is asked for again after these times. */
const repeatAfterMs = [50, 250];
/** How long BigQuery holds a question for the end of a job. */
const longPollMs = 10_000;
const pageRows = 10_000;
/** A job that was told to stop has so long to do so. */
const cancelMs = 5_000;

/**
 * Runs jobs. Each has an id that was chosen here: when the answer to its insertion is lost, it is looked for by that, and never inserted twice. Jobs that were left while they
 * ran are remembered, and ended before anything else is changed: nothing of them comes later.
 */
export class Jobs {
  readonly #api: BigQueryApi;
  readonly #settings: ResolvedSettings;
  readonly #left = new Map<string, JobReference>();
  /** Of the dataset, once it is known. */
  location: string | undefined;

  constructor(api: BigQueryApi, settings: ResolvedSettings) {
    this.#api = api;
    this.#settings = settings;
    this.location = settings.location;
  }

  /** Runs a statement that changes rows, or makes a table. */
  async change(statement: Statement, signal: AbortSignal): Promise<Changed> {
    const { statistics } = await this.#run({ query: this.#query(statement) }, undefined, signal);
    const { insertedRowCount = '0', updatedRowCount = '0', deletedRowCount = '0' } = statistics?.query?.dmlStats ?? {};
    return { inserted: Number(insertedRowCount), updated: Number(updatedRowCount), deleted: Number(deletedRowCount) };
  }

  /** Appends lines of JSON to a table. */
  async load(destination: { dataset: string; table: string }, lines: Buffer, signal: AbortSignal): Promise<void> {
    const destinationTable = { projectId: this.#settings.table.project, datasetId: destination.dataset, tableId: destination.table };
    const load = { destinationTable, sourceFormat: 'NEWLINE_DELIMITED_JSON', createDisposition: 'CREATE_NEVER', writeDisposition: 'WRITE_APPEND' };
    await this.#run({ load }, lines, signal);
  }

  /** Gives the rows of a question, page by page. */
  async *rows(statement: Statement, signal: AbortSignal): AsyncGenerator<ResultRow[]> {
    const { jobReference: reference } = await this.#insert({ query: this.#query(statement) }, undefined, signal);
    // It changes nothing, whenever it ends.
    this.#left.delete(reference.jobId);
    let names: string[] = [];
    for (let pageToken: string | undefined, isDone = false; !isDone; ) {
      const page = await this.#persistently(() => this.#results(reference, pageToken, signal), signal);
      if (page.jobComplete !== true) continue;
      names = page.schema?.fields?.map(({ name }) => name) ?? names;
      if (page.rows) yield page.rows.map(({ f }) => Object.fromEntries(f.map(({ v }, index) => [names[index]!, v])));
      pageToken = page.pageToken;
      isDone = pageToken === undefined;
    }
  }

  /** The only row of a question. */
  async row(statement: Statement, signal: AbortSignal): Promise<ResultRow> {
    for await (const [row] of this.rows(statement, signal)) if (row) return row;
    return {};
  }

  /** What BigQuery says of a statement without running it: whether it may run, and the bytes that it would read. */
  async dryRun(statement: Statement, signal: AbortSignal): Promise<{ bytes: number }> {
    const path = `projects/${encodeURIComponent(this.#settings.table.project)}/jobs`;
    const body = { jobReference: { ...this.#reference(), jobId: undefined }, configuration: { dryRun: true, query: this.#query(statement) } };
    const { statistics } = await this.#persistently(() => this.#api.send<Job>({ method: 'POST', path, body, signal }), signal);
    return { bytes: Number(statistics?.totalBytesProcessed ?? 0) };
  }

  /** Ends the jobs that were left while they ran. Throws while BigQuery does not say that they have ended. */
  async settle(signal: AbortSignal): Promise<void> {
    for (const reference of this.#left.values().toArray()) {
      try {
        await this.#cancel(reference, signal);
        await this.#untilDone(reference, signal);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      this.#left.delete(reference.jobId);
    }
  }

  #query({ sql, parameters }: Statement): object {
    const { maximumBytesBilled } = this.#settings;
    return { query: sql, useLegacySql: false, ...(parameters.length > 0 && { parameterMode: 'NAMED', queryParameters: parameters }), ...(maximumBytesBilled !== undefined && { maximumBytesBilled }) };
  }

  async #run(configuration: object, media: Buffer | undefined, signal: AbortSignal): Promise<Job> {
    const inserted = await this.#insert(configuration, media, signal);
    const reference = inserted.jobReference;
    try {
      const job = inserted.status?.state === 'DONE' ? inserted : await this.#untilDone(reference, signal);
      this.#left.delete(reference.jobId);
      const fault = job.status?.errorResult;
      if (fault) throw new ApiError(0, fault.reason ?? '', fault.message ?? '');
      return job;
    } catch (error) {
      if (signal.aborted && this.#left.has(reference.jobId)) this.#cancel(reference, AbortSignal.timeout(cancelMs)).catch(() => undefined);
      throw error;
    }
  }

  async #insert(configuration: object, media: Buffer | undefined, signal: AbortSignal): Promise<Job> {
    const reference = this.#reference();
    const { table, labels } = this.#settings;
    const body = { jobReference: reference, configuration: { ...configuration, jobTimeoutMs: String(jobTimeoutMs), ...(Object.keys(labels).length > 0 && { labels }) } };
    const path = `projects/${encodeURIComponent(table.project)}/jobs`;
    this.#left.set(reference.jobId, reference);
    try {
      const job = await this.#persistently(() => this.#inserted(() => this.#api.send<Job>({ method: 'POST', path, body, media, signal }), reference, signal), signal);
      const jobReference = { ...reference, ...job.jobReference };
      this.#left.set(reference.jobId, jobReference);
      return { ...job, jobReference };
    } catch (error) {
      // What BigQuery refused does not run.
      if (isApiFault(error) && !isUnknownOutcome(error)) this.#left.delete(reference.jobId);
      else if (signal.aborted) this.#cancel(reference, AbortSignal.timeout(cancelMs)).catch(() => undefined);
      throw error;
    }
  }

  /** The job, also where it had been inserted before. */
  async #inserted(insert: () => Promise<Job>, reference: JobReference, signal: AbortSignal): Promise<Job> {
    try {
      return await insert();
    } catch (error) {
      if (!isApiFault(error) || (error.reason !== 'duplicate' && error.status !== 409)) throw error;
      return await this.#job(reference, signal);
    }
  }

  #reference(): JobReference {
    return { projectId: this.#settings.table.project, jobId: `kollect_${randomUUID()}`, location: this.location };
  }

  async #job({ projectId, jobId, location }: JobReference, signal: AbortSignal): Promise<Job> {
    return await this.#api.send<Job>({ method: 'GET', path: `projects/${encodeURIComponent(projectId)}/jobs/${jobId}`, query: { location }, signal });
  }

  async #results({ projectId, jobId, location }: JobReference, pageToken: string | undefined, signal: AbortSignal): Promise<Results> {
    const query = { location, pageToken, timeoutMs: longPollMs, maxResults: pageRows };
    return await this.#api.send<Results>({ method: 'GET', path: `projects/${encodeURIComponent(projectId)}/queries/${jobId}`, query, signal });
  }

  /** Jobs of a second or two are asked about often, longer ones less. */
  async #untilDone(reference: JobReference, signal: AbortSignal): Promise<Job> {
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 1.5, 2_000)) {
      const job = await this.#persistently(() => this.#job(reference, signal), signal);
      if (job.status?.state === 'DONE') return job;
      await pause(waitMs, undefined, { signal });
    }
  }

  async #cancel({ projectId, jobId, location }: JobReference, signal: AbortSignal): Promise<void> {
    await this.#api.send({ method: 'POST', path: `projects/${encodeURIComponent(projectId)}/jobs/${jobId}/cancel`, query: { location }, signal });
  }

  /** Asks again when nobody knows what became of a question. For those that change nothing when they are asked twice. */
  async #persistently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (const waitMs of repeatAfterMs) {
      try {
        return await ask();
      } catch (error) {
        if (signal.aborted || !isUnknownOutcome(error)) throw error;
        await pause(waitMs, undefined, { signal });
      }
    }
    return await ask();
  }
}
