import { KollectError } from '../../../shared/errors.ts';
import { rowName, type ExportRow, type OpenContext, type RejectedRow, type RowKey, type SinkChange, type WriteResult } from '../contract.ts';
import { commitMs } from '../runtime/deadline.ts';
import { unknownInstallation } from '../runtime/errors.ts';
import { payloadBytes, withoutOversize } from '../runtime/rows.ts';
import { isSpared } from '../runtime/spared.ts';
import type { BigQueryApi } from './api.ts';
import type { Changed, Jobs, Statement } from './jobs.ts';
import { named, scopeOf, sentRows, text, texts, timestamp, written, type QueryParameter, type SentRow } from './parameters.ts';
import type { ResolvedSettings, TableName } from './settings.ts';
import { withStaging } from './staging.ts';
import { claimStatement, countStaleStatement, deleteDuplicatesStatement, heldStatement, mergeStatement, type Comparison, type TableLayout } from './statements.ts';
import { survey, type Survey } from './survey.ts';

/** A row and its escapes fit into a request, which has 10 MB. No object of Kubernetes is as large. */
export const maxRowBytes = 4 * 1024 * 1024;
/** Of one request, before escapes, which double it at worst. What is more goes through a staging table. */
const requestBytes = 4_000_000;
/** Levels of a value of type JSON. */
const maxDepth = 500;
/** What names and hash of a row add to its payload. */
const rowBytes = 400;

export interface PassTarget {
  api: BigQueryApi;
  jobs: Jobs;
  settings: ResolvedSettings;
  layout: TableLayout;
  installation: string | undefined;
  fence: OpenContext<unknown>['fence'];
}

/** Where the rows of a statement are. */
type Source = { rows: readonly SentRow[]; staging?: undefined } | { staging: TableName };

/** One export: one MERGE, unless it is larger than a request and no staging table may be made. */
export class Pass {
  readonly #target: PassTarget;
  readonly #change: SinkChange;
  readonly #signal: AbortSignal;
  readonly #exportedAt = new Date();
  readonly #rejected: RejectedRow[] = [];
  #bytes = 0;

  constructor(target: PassTarget, change: SinkChange, signal: AbortSignal) {
    this.#target = target;
    this.#change = change;
    this.#signal = signal;
  }

  async run(): Promise<WriteResult> {
    const { completeTargets, knownTargets, upsertCount } = this.#change;
    const compares = completeTargets.length > 0 || knownTargets !== undefined;
    const there = compares ? await this.#prepare() : undefined;
    const sent = this.#sent();
    const first = take(sent);
    const { settings, api, jobs } = this.#target;
    const { changed, held } = !first.isMore
      ? await this.#atOnce({ rows: withoutDuplicates(first.rows) }, compares)
      : settings.mode === 'ensure'
        ? await withStaging(api, jobs, settings.table, chained(first.rows, sent), this.#signal, (staging) => this.#atOnce({ staging }, compares))
        : await this.#inPortions(first.rows, sent, compares);
    if (held === 0 && there !== undefined && there.unowned > 0 && this.#target.installation !== undefined) await this.#claim();
    const rejected = this.#rejected;
    return { confirmed: upsertCount - rejected.length, written: changed.inserted + changed.updated, deleted: changed.deleted, ...(compares && { held }), bytes: this.#bytes, rejected };
  }

  /** Throws `KOL_SINK_OWNER` when the rows are somebody else's. */
  async #prepare(): Promise<Survey> {
    const { jobs, settings, layout, installation } = this.#target;
    const { identity } = this.#change;
    const there = await survey(jobs, settings.table, layout, identity, installation, this.#signal);
    if (there.others > 0) throw foreignOwner(settings.table, identity, installation);
    // They are written anew.
    if (there.keys < there.rows) await this.#run({ sql: deleteDuplicatesStatement(settings.table), parameters: scopeOf(identity) });
    return there;
  }

  /** All rows that are sent, with those first that others replace. */
  *#sent(): Generator<SentRow> {
    const { keep, deletes, upserts, identity } = this.#change;
    for (const key of keep) yield named(key, 'keep');
    for (const key of deletes) yield named(key, 'delete');
    for (const slice of upserts) {
      const { fitting, oversize } = withoutOversize(slice, maxRowBytes);
      const { shallow, tooDeep } = withoutDeep(fitting);
      this.#rejected.push(...oversize, ...tooDeep);
      this.#bytes += payloadBytes(shallow);
      for (const row of shallow) yield written(row, identity.namespace);
      // What the table holds of them is old, not stale.
      for (const { key } of [...oversize, ...tooDeep]) yield named(key, 'keep');
    }
  }

  async #atOnce(source: Source, compares: boolean): Promise<{ changed: Changed; held: number }> {
    const { staleLimit, spared = [], knownTargets } = this.#change;
    if (!compares) return { changed: await this.#merge(source, undefined), held: 0 };
    const comparison: Comparison = { knows: knownTargets !== undefined, spares: spared.length > 0, onlyExempt: false };
    let held = 0;
    if (staleLimit) {
      const statement = { sql: countStaleStatement(this.#target.settings.table, { staging: source.staging, compares: comparison }), parameters: this.#parameters(source, true) };
      const stale = Number((await this.#target.jobs.row(statement, this.#signal))['stale'] ?? 0);
      if (stale > staleLimit.rows) held = stale;
    }
    return { changed: await this.#merge(source, { ...comparison, onlyExempt: held > 0 }), held };
  }

  async #merge(source: Source, compares: Comparison | undefined): Promise<Changed> {
    const { settings, layout } = this.#target;
    return await this.#run({ sql: mergeStatement(settings.table, layout, { staging: source.staging, compares }), parameters: this.#parameters(source, compares !== undefined) });
  }

  #parameters(source: Source, compares: boolean): QueryParameter[] {
    return mergeParameters(this.#change, { installation: this.#target.installation, exportedAt: this.#exportedAt, rows: source.staging ? undefined : source.rows, compares });
  }

  /** Without a staging table: in as many requests as it takes, and what is stale last, by its keys. */
  async #inPortions(first: readonly SentRow[], rest: Generator<SentRow>, compares: boolean): Promise<{ changed: Changed; held: number }> {
    const changed: Changed = { inserted: 0, updated: 0, deleted: 0 };
    const sent = new Set<string>();
    const merge = async (rows: readonly SentRow[]): Promise<void> => {
      const { inserted, updated, deleted } = await this.#merge({ rows: withoutDuplicates(rows) }, undefined);
      changed.inserted += inserted;
      changed.updated += updated;
      changed.deleted += deleted;
    };
    for (let rows = first; rows.length > 0; rows = take(rest).rows) {
      for (const row of rows) sent.add(keyOf(row));
      await merge(rows);
    }
    if (!compares) return { changed, held: 0 };
    const { stale, held } = await this.#staleKeys(sent);
    const removals = stale.values().map((key) => named(key, 'delete'));
    for (let rows = take(removals).rows; rows.length > 0; rows = take(removals).rows) await merge(rows);
    return { changed, held };
  }

  async #staleKeys(sent: ReadonlySet<string>): Promise<{ stale: RowKey[]; held: number }> {
    const { jobs, settings, layout } = this.#target;
    const { completeTargets, knownTargets, spared = [], staleLimit, identity } = this.#change;
    const stale: RowKey[] = [];
    for await (const page of jobs.rows({ sql: heldStatement(settings.table, layout), parameters: scopeOf(identity) }, this.#signal)) {
      for (const { target_name: targetName, source_uid: uid, object_kind: kind = null, object_group: group = null, object_namespace: namespace = null } of page) {
        if (!targetName || !uid) continue;
        const isCompared = completeTargets.includes(targetName) || knownTargets?.includes(targetName) === false;
        if (isCompared && !sent.has(rowName({ targetName, uid })) && !isSpared({ targetName, kind, group, namespace }, spared)) stale.push({ targetName, uid });
      }
    }
    const isDoubtful = ({ targetName }: RowKey): boolean => staleLimit?.exempt.includes(targetName) === false;
    const held = stale.filter(isDoubtful).length;
    if (!staleLimit || held <= staleLimit.rows) return { stale, held: 0 };
    return { stale: stale.filter((key) => !isDoubtful(key)), held };
  }

  async #claim(): Promise<void> {
    const { settings, installation, layout } = this.#target;
    if (layout.owned) await this.#run({ sql: claimStatement(settings.table), parameters: [...scopeOf(this.#change.identity), text('installation', installation)] });
  }

  async #run(statement: Statement): Promise<Changed> {
    this.#target.fence(commitMs);
    return await this.#target.jobs.change(statement, this.#signal);
  }
}

/** The values of a MERGE. */
export function mergeParameters(change: Pick<SinkChange, 'identity' | 'completeTargets' | 'knownTargets' | 'spared' | 'staleLimit'>, { installation, exportedAt, rows, compares }: { installation: string | undefined; exportedAt: Date; rows: readonly SentRow[] | undefined; compares: boolean }): QueryParameter[] {
  const { identity, completeTargets, knownTargets, spared = [], staleLimit } = change;
  const parameters = [...scopeOf(identity), text('installation', installation), timestamp('exported_at', exportedAt)];
  if (rows) parameters.push(sentRows('rows', rows));
  if (!compares) return parameters;
  parameters.push(texts('complete_targets', completeTargets));
  if (knownTargets) parameters.push(texts('known_targets', knownTargets));
  if (spared.length > 0) parameters.push(texts('spared', spared.flatMap(({ targetName, group, kind, namespace = '*' }) => [`${targetName}/${group}.${kind}/${namespace}`, `${targetName}/?/${namespace}`])));
  if (staleLimit) parameters.push(texts('exempt_targets', staleLimit.exempt));
  return parameters;
}

/** The error of rows that another installation wrote under the same names. */
export function foreignOwner({ title }: TableName, { namespace, name, cluster }: SinkChange['identity'], installation: string | undefined, cause?: unknown): KollectError {
  const which = `inventory ${namespace}/${name} of ${cluster === '' ? 'a cluster without a name' : `cluster ${JSON.stringify(cluster)}`}`;
  if (installation === undefined) return new KollectError('KOL_SINK_OWNER', `${title} holds rows of ${which} that an installation wrote, and nobody knows whether it is this one: ${unknownInstallation}`, { cause });
  return new KollectError('KOL_SINK_OWNER', `${title} holds rows of ${which} that another installation wrote: give each cluster a name of its own in spec.cluster, or set installation to NULL in those rows if that installation is gone`, { cause });
}

/** Takes out rows that BigQuery would refuse the whole statement for. */
function withoutDeep(rows: readonly ExportRow[]): { shallow: readonly ExportRow[]; tooDeep: RejectedRow[] } {
  const deep = rows.filter(({ payload }) => payload.length > 2 * maxDepth && depthOf(payload) > maxDepth);
  if (deep.length === 0) return { shallow: rows, tooDeep: [] };
  const tooDeep = deep.map(({ targetName, uid, namespace, hash }) => ({ key: { targetName, uid }, namespace, hash, code: 'NestedTooDeep', message: `nested deeper than ${maxDepth} levels` }));
  return { shallow: rows.filter((row) => !deep.includes(row)), tooDeep };
}

/** Most opening brackets that are open at a time; those inside texts do not count. */
function depthOf(payload: string): number {
  let [depth, deepest] = [0, 0];
  for (let at = 0; at < payload.length; at++) {
    const character = payload.charCodeAt(at);
    if (character === 0x22) {
      // To the quote that ends the text.
      for (at++; at < payload.length && payload.charCodeAt(at) !== 0x22; at++) if (payload.charCodeAt(at) === 0x5c) at++;
    } else if (character === 0x5b || character === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (character === 0x5d || character === 0x7d) depth--;
  }
  return deepest;
}

/** As many rows as a request takes. */
function take(rows: Iterator<SentRow>): { rows: SentRow[]; isMore: boolean } {
  const taken: SentRow[] = [];
  for (let bytes = 0; bytes < requestBytes; ) {
    const { value, done } = rows.next();
    if (done) return { rows: taken, isMore: false };
    taken.push(value);
    bytes += rowBytes + Buffer.byteLength(value.payload ?? '');
  }
  return { rows: taken, isMore: true };
}

function* chained(first: readonly SentRow[], rest: Iterable<SentRow>): Generator<SentRow> {
  yield* first;
  yield* rest;
}

/** The later one counts. */
function withoutDuplicates(rows: readonly SentRow[]): SentRow[] {
  return [...new Map(rows.map((row) => [keyOf(row), row])).values()];
}

function keyOf({ target_name: target, source_uid: uid }: SentRow): string {
  return `${target}/${uid}`;
}
