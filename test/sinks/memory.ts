import type { Backend, CheckResult, ExportRow, InventoryIdentity, OpenContext, RejectedRow, Sink, SinkChange, SnapshotState, WriteResult } from '../../controller/sinks/contract.ts';
import { isSpared } from '../../controller/sinks/runtime/spared.ts';
import { KollectError } from '../../shared/errors.ts';

export interface MemoryRow {
  identity: InventoryIdentity;
  row: ExportRow;
  /** Counts writes; differs when the row was written again. */
  written: number;
}

/** What happens to one write: an error before it, an error after it, no answer after it, or the loss of all that is there. */
export type MemoryFault = 'refuse' | 'cut' | 'silence' | 'lose' | undefined;

/** Somewhere to write to, with a script of what goes wrong. Any number of sinks can be open to it. */
export class MemoryPlace {
  readonly rows = new Map<string, MemoryRow>();
  readonly states = new Map<string, Partial<SnapshotState> & { installation: string | undefined }>();
  readonly writes: { mode: 'reconcile' | 'delta'; upserts: number; deletes: number }[] = [];
  /** One entry a write, the first for the next. */
  script: MemoryFault[] = [];
  /** Rows whose payload holds this are refused. */
  poison: string | undefined;
  /** When set, a write waits for it. */
  gate: Promise<void> | undefined;
  waiting = 0;
  checks = 0;
  /** Rows of each question about them. */
  readonly questions: number[] = [];
  closed = 0;
  /** It holds each inventory as one document. */
  readonly granularity: Backend['capabilities']['granularity'];
  /** Somebody else wrote here; until the next write. */
  isTouched = false;
  #revision = 0;

  constructor(granularity: Backend['capabilities']['granularity'] = 'row') {
    this.granularity = granularity;
  }

  /** What an inventory has here, by `<target>/<uid>`. */
  held({ namespace = 'shop', name = 'inventory', cluster = '' }: Partial<InventoryIdentity> = {}): Map<string, string> {
    const of = placeOf({ namespace, name, cluster });
    return new Map([...this.rows].filter(([key]) => key.startsWith(`${of} `)).map(([, { row }]) => [`${row.targetName}/${row.uid}`, row.payload]));
  }

  put(identity: InventoryIdentity, row: ExportRow): boolean {
    const key = `${placeOf(identity)} ${row.targetName}/${row.uid}`;
    if (this.rows.get(key)?.row.payload === row.payload) return false;
    this.rows.set(key, { identity, row, written: ++this.#revision });
    return true;
  }
}

/** A whole backend for tests of what uses sinks, held to the same rules as the others by the same suite. */
export function memoryBackend(place: MemoryPlace): Backend {
  return {
    type: 'memory',
    family: 'database',
    capabilities: { granularity: place.granularity, concurrency: 2 },
    refusesLateWrites: () => false,
    destination: () => 'memory',
    place: () => 'memory',
    server: () => 'memory',
    secretRef: (spec) => (spec as { secretRef?: { name: string } }).secretRef,
    open: async (context) => new MemorySink(place, context),
    preview: async () => ({}),
  };
}

export class MemorySink implements Sink {
  readonly place: MemoryPlace;
  readonly #fence: OpenContext<unknown>['fence'];
  readonly #installation: string | undefined;

  constructor(place: MemoryPlace, { fence = () => undefined, installation }: Partial<Pick<OpenContext<unknown>, 'fence' | 'installation'>> = {}) {
    this.place = place;
    this.#fence = fence;
    this.#installation = installation;
  }

  async probe() {
    return { message: 'memory: there' };
  }

  async check(identity: InventoryIdentity): Promise<CheckResult> {
    this.place.checks++;
    this.#own(identity);
    const state = this.place.states.get(placeOf(identity));
    return { rows: this.place.held(identity).size, digest: state?.digest, owned: this.#installation === undefined ? undefined : state !== undefined, ...(this.place.isTouched ? { isTouched: true } : {}) };
  }

  async differing(identity: InventoryIdentity, rows: readonly ExportRow[]): Promise<readonly ExportRow[]> {
    this.place.questions.push(rows.length);
    const held = this.place.held(identity);
    return rows.filter((row) => held.get(`${row.targetName}/${row.uid}`) !== row.payload);
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { place } = this;
    const { identity, completeTargets, knownTargets } = change;
    const fault = place.script.shift();
    if (fault === 'refuse') throw new KollectError('KOL_SINK_UNAVAILABLE', 'refused', { retryAfterMs: 5 });
    if (fault === 'lose') {
      place.rows.clear();
      place.states.clear();
      throw new KollectError('KOL_SINK_DESTINATION_LOST', 'the table is gone', { retryAfterMs: 5 });
    }
    const rows = new Map([...change.upserts].flat().map((row) => [`${row.targetName}/${row.uid}`, row]));
    if (rows.size + change.deletes.length + completeTargets.length === 0 && knownTargets === undefined) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    await this.#turn(signal);
    this.#fence(1_000);
    this.#own(identity);

    const foreign = place.held(identity).size > 0;
    if (place.granularity === 'document' && this.#loses(change, rows)) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [], held: place.held(identity).size - rows.size };
    place.isTouched = false;
    const result = { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] as RejectedRow[] };
    for (const { targetName, uid, hash, payload, ...rest } of rows.values()) {
      const refusal = Buffer.byteLength(payload) > 64 * 1024 ? { code: 'PayloadTooLarge', message: 'larger than 64 KiB' } : this.#refusal(payload);
      if (refusal) result.rejected.push({ key: { targetName, uid }, namespace: rest.namespace, hash, ...refusal });
      else if (place.put(identity, { ...rest, targetName, uid, hash, payload })) result.written++;
    }
    const named = new Set([...rows.keys(), ...change.keep.map(({ targetName, uid }) => `${targetName}/${uid}`)]);
    const prefix = `${placeOf(identity)} `;
    for (const { targetName, uid } of change.deletes) if (place.rows.delete(`${prefix}${targetName}/${uid}`)) result.deleted++;
    const stales: { key: string; row: ExportRow }[] = [];
    for (const [key, { row }] of place.rows) {
      if (!key.startsWith(prefix)) continue;
      if (isSpared({ ...(JSON.parse(row.payload.startsWith('{') ? row.payload : '{}') as object), targetName: row.targetName }, change.spared ?? [])) continue;
      const stale = completeTargets.includes(row.targetName) ? !named.has(`${row.targetName}/${row.uid}`) : knownTargets !== undefined && !knownTargets.includes(row.targetName);
      if (stale) stales.push({ key, row });
    }
    const doubtful = stales.filter(({ row }) => change.staleLimit?.exempt.includes(row.targetName) === false);
    const held = doubtful.length > (change.staleLimit?.rows ?? Infinity) ? doubtful : [];
    for (const stale of stales) if (!held.includes(stale) && place.rows.delete(stale.key)) result.deleted++;
    result.confirmed = change.upsertCount - result.rejected.length;
    const settled = result.rejected.length + held.length === 0 ? change.after : undefined;
    // What nobody owned is ours when nothing of it waits for consent.
    const compares = completeTargets.length > 0 || knownTargets !== undefined;
    const claims = place.states.has(placeOf(identity)) || (compares && (!foreign || change.staleLimit === undefined || settled !== undefined));
    if (this.#installation !== undefined && claims) place.states.set(placeOf(identity), { installation: this.#installation, ...settled });
    if (fault === 'cut') throw new KollectError('KOL_SINK_UNAVAILABLE', 'connection lost after the commit', { retryAfterMs: 5 });
    if (fault === 'silence') await aborted(signal);
    place.writes.push({ mode: completeTargets.length > 0 ? 'reconcile' : 'delta', upserts: rows.size, deletes: change.deletes.length });
    return { ...result, held: held.length };
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal) {
    const state = this.place.states.get(placeOf(identity));
    const isOurs = state ? state.installation === this.#installation : isOwn;
    if (!isOurs) return { deleted: 0 };
    await this.#turn(signal);
    this.#fence(1_000);
    let deleted = 0;
    for (const key of this.place.rows.keys()) if (key.startsWith(`${placeOf(identity)} `) && this.place.rows.delete(key)) deleted++;
    this.place.states.delete(placeOf(identity));
    return { deleted };
  }

  async close() {
    this.place.closed++;
  }

  #refusal(payload: string): { code: string; message: string } | undefined {
    const { poison } = this.place;
    return poison !== undefined && payload.includes(poison) ? { code: 'poison', message: 'refused because of its content' } : undefined;
  }

  /** A document is written as a whole, or not at all. */
  #loses({ identity, staleLimit }: SinkChange, rows: ReadonlyMap<string, ExportRow>): boolean {
    const stale = this.place.held(identity).keys().filter((key) => !rows.has(key)).toArray();
    return staleLimit !== undefined && stale.length > staleLimit.rows;
  }

  #own(identity: InventoryIdentity): void {
    const state = this.place.states.get(placeOf(identity));
    if (state && state.installation !== this.#installation) throw new KollectError('KOL_SINK_OWNER', 'another installation wrote the rows');
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { gate } = this.place;
    if (signal.aborted) await aborted(signal);
    if (gate === undefined) return;
    this.place.waiting++;
    await Promise.race([gate, aborted(signal)]).finally(() => this.place.waiting--);
  }
}

function placeOf({ namespace, name, cluster }: Pick<InventoryIdentity, 'namespace' | 'name' | 'cluster'>): string {
  return `${namespace}/${name} ${JSON.stringify(cluster)}`;
}

/** Rejects when the caller gives up. */
async function aborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  throw new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
}
