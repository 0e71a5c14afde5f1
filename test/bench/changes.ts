import { eventually } from '../servers/eventually.ts';
import type { Metrics } from './controller-under-test.ts';
import { table, type Environment } from './environment.ts';
import { median, percentile, type Figure } from './figures.ts';

export interface Changes {
  rows: number;
  /** From the API server's answer to the row that a client of the database sees. */
  toRowMs: number[];
  /** Mean time from the watch event to the confirmation by the sink, as the controller measures it. */
  toCommitMs: number;
  /** Of the controller, status and all. */
  cpuMs: number;
  /** Rows that were written for each that changed. */
  written: number;
}

/** P6: scales one Deployment at a time in an inventory that is exported. */
export async function measureChanges(environment: Environment, changes: number): Promise<Changes> {
  const { controller, rows } = environment;
  return await controller.profiled(`changes-${rows}`, async () => {
    const before = await controller.scrape();
    const { cpuSeconds } = controller.figures();
    const toRowMs: number[] = [];
    for (let change = 0; change < changes; change++) {
      // Beyond what any size before has set: a patch that changes nothing is no event.
      toRowMs.push(await changeOne(environment, (change * 7_919) % rows, rows + change));
    }
    const used = controller.figures().cpuSeconds - cpuSeconds;
    const rise = difference(before, await controller.scrape());
    environment.report(`P6 ${rows} rows: ${median(toRowMs).toFixed(0)} ms median, ${percentile(toRowMs, 0.99).toFixed(0)} ms p99`);
    return {
      rows,
      toRowMs,
      toCommitMs: (rise('kollect_export_commit_lag_seconds_sum') / rise('kollect_export_commit_lag_seconds_count')) * 1000,
      cpuMs: (used / changes) * 1000,
      written: rise('kollect_export_rows_total', 'operation="written"') / changes,
    };
  });
}

async function changeOne(environment: Environment, index: number, replicas: number): Promise<number> {
  const uid = await environment.scale(index, replicas);
  const since = performance.now();
  await eventually(() => rowHolds(environment, uid, replicas), { intervalMs: 2, what: 'a changed row' });
  return performance.now() - since;
}

/** Whether the table holds the row with this number of replicas. */
export async function rowHolds({ database }: Environment, uid: string, replicas: number): Promise<boolean> {
  // By the whole key: a search of the table would be the greater part of what is measured.
  const { rows } = await database.query<{ replicas: number }>({
    name: 'replicas',
    text: `SELECT (payload->'attributes'->>'replicas')::int AS replicas FROM ${table}
WHERE inventory_namespace = 'bench' AND inventory_name = 'inventory' AND target_name = 'web' AND source_uid = $1`,
    values: [uid],
  });
  return rows[0]?.replicas === replicas;
}

export interface Burst {
  rows: number;
  changed: number;
  passes: number;
  written: number;
  /** From the moment that the table can be written again. */
  seconds: number;
}

/** Many rows change while the table is locked: everything that waits goes in one pass. */
export async function measureBurst(environment: Environment, most: number): Promise<Burst> {
  const { controller, rows, database } = environment;
  const changed = Math.min(most, rows);
  environment.report(`P6 changing ${changed} of ${rows} rows at once`);
  const before = await controller.scrape();
  let since: number;
  await database.query(`BEGIN; LOCK TABLE ${table}`);
  try {
    await environment.api.each(0, changed, (index) => environment.scale(index, 2 * rows + index));
    // The last event is on its way.
    await eventually(async () => (await controller.scrape()).sum('kollect_export_lag_rows') >= changed - 1, { what: 'the last change in the controller' });
  } finally {
    since = performance.now();
    await database.query('COMMIT');
  }
  const rise = await eventually(
    async () => {
      const now = await controller.scrape();
      return now.sum('kollect_export_lag_rows') === 0 && difference(before, now);
    },
    { intervalMs: 20, timeoutMs: 120_000, what: 'the end of the burst' },
  );
  const seconds = (performance.now() - since) / 1000;
  return { rows, changed, passes: rise('kollect_export_duration_seconds_count'), written: rise('kollect_export_rows_total', 'operation="written"'), seconds };
}

function difference(before: Metrics, after: Metrics): (name: string, labels?: string) => number {
  return (name, labels) => after.sum(name, labels) - before.sum(name, labels);
}

export function changeFigures(sizes: readonly Changes[], burst: Burst): Figure[] {
  const [smallest, largest] = [sizes[0]!, sizes.at(-1)!];
  const each = sizes.map(({ rows, toRowMs, toCommitMs, cpuMs, written }): Figure => {
    const p99 = percentile(toRowMs, 0.99);
    return {
      measure: `P6 one change in ${rows} rows, request to row`,
      ours: `${median(toRowMs).toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
      beside: `watch to commit ${toCommitMs.toFixed(1)} ms, ${cpuMs.toFixed(1)} ms CPU, ${written} written`,
      goal: '1 written, p99 ≤ 250 ms',
      met: written === 1 && p99 <= 250,
    };
  });
  const ends = ([name, key]: readonly [string, 'toCommitMs' | 'cpuMs']): Figure => {
    const ratio = largest[key] / smallest[key];
    return {
      measure: `P6 ${name}, ${largest.rows} rows beside ${smallest.rows}`,
      ours: `${largest[key].toFixed(1)} ms`,
      beside: `${smallest[key].toFixed(1)} ms`,
      ratio,
      goal: '≤ 1.5',
      met: ratio <= 1.5,
    };
  };
  const { changed, passes, written, seconds, rows } = burst;
  return [
    ...each,
    ...(sizes.length > 1 ? ([['watch to commit', 'toCommitMs'], ['CPU of a change', 'cpuMs']] as const).map(ends) : []),
    {
      measure: `P6 burst of ${changed} in ${rows} rows`,
      ours: `${passes} passes, ${seconds.toFixed(2)} s`,
      beside: `${written} rows written`,
      // One pass is under way when the burst begins.
      goal: 'one delta beside the pass under way',
      met: passes <= 2 && written <= changed,
    },
  ];
}
