import { setTimeout as pause } from 'node:timers/promises';
import { rowHolds } from './changes.ts';
import type { Environment } from './environment.ts';
import { median, percentile, type Figure } from './figures.ts';

export interface SteadyChanges {
  rows: number;
  seconds: number;
  changes: number;
  passes: number;
  failures: number;
  written: number;
  cpuSeconds: number;
  /** From the change of a row to the commit that holds it. */
  lagMs: number[];
  /** Live heap before and after, and memory after a fifth of the time and in the end. */
  heapBytes: [before: number, after: number];
  rssMb: [early: number, late: number];
}

/** How many rows are followed to the table, one at a time. Nothing else changes them. */
const probes = 50;

/** P11: rows change at a rate for a time, each after the other. */
export async function measureSteadyChanges(environment: Environment, { changeRate, steadySeconds }: { changeRate: number; steadySeconds: number }): Promise<SteadyChanges> {
  const { controller, rows } = environment;
  environment.report(`P11 ${changeRate} changes a second for ${steadySeconds} s over ${rows} rows`);
  const heapBefore = await controller.liveHeapBytes();
  const before = await controller.scrape();
  const { cpuSeconds } = controller.figures();
  const started = performance.now();
  const end = started + steadySeconds * 1000;
  let changes = 0;
  // Beyond what a size before has set.
  const first = 3 * rows;
  const write = async (): Promise<void> => {
    const working = new Set<Promise<unknown>>();
    for (let now = started; now < end; now = performance.now()) {
      for (const due = Math.floor(((now - started) / 1000) * changeRate); changes < due && working.size < 200; changes++) {
        const change = environment.scale(probes + (changes % Math.max(1, rows - probes)), first + changes);
        working.add(change);
        void change.finally(() => working.delete(change));
      }
      await pause(5);
    }
    await Promise.all(working);
  };
  const lagMs: number[] = [];
  const follow = async (): Promise<void> => {
    for (let probe = 0; performance.now() < end; probe++) {
      const replicas = first + probe;
      const uid = await environment.scale(probe % probes, replicas);
      const since = performance.now();
      while (!(await rowHolds(environment, uid, replicas))) await pause(5);
      lagMs.push(performance.now() - since);
      await pause(50);
    }
  };
  const early = pause(steadySeconds * 200).then(() => controller.figures().rssMb);
  await Promise.all([write(), follow(), early]);
  const { rssMb, ...after } = controller.figures();
  const seconds = (performance.now() - started) / 1000;
  const now = await controller.scrape();
  const rise = (name: string, labels = ''): number => now.sum(name, labels) - before.sum(name, labels);
  const result: SteadyChanges = {
    rows,
    seconds,
    changes: changes + lagMs.length,
    passes: rise('kollect_export_duration_seconds_count'),
    failures: rise('kollect_sink_errors_total'),
    written: rise('kollect_export_rows_total', 'operation="written"'),
    cpuSeconds: after.cpuSeconds - cpuSeconds,
    lagMs,
    rssMb: [await early, rssMb],
    heapBytes: [heapBefore, await controller.liveHeapBytes()],
  };
  environment.report(`P11 ${result.changes} changes: ${median(lagMs).toFixed(0)} ms median, ${percentile(lagMs, 0.99).toFixed(0)} ms p99`);
  return result;
}

export function steadyFigures({ rows, seconds, changes, passes, failures, written, cpuSeconds, lagMs, heapBytes, rssMb }: SteadyChanges): Figure[] {
  const p99 = percentile(lagMs, 0.99);
  const [heapBefore, heapAfter] = heapBytes;
  const growth = heapAfter / heapBefore;
  return [
    {
      measure: `P11 ${(changes / seconds).toFixed(0)} changes a second over ${rows} rows, behind`,
      ours: `${median(lagMs).toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
      beside: `${passes} passes, ${failures} failed, ${written} rows written, ${((cpuSeconds / seconds) * 100).toFixed(0)} % of a CPU, ${seconds.toFixed(0)} s`,
      goal: 'p99 ≤ 1000 ms',
      met: p99 <= 1_000,
    },
    {
      measure: `P11 live heap after ${changes} changes`,
      ours: `${(heapAfter / 1e6).toFixed(0)} MB`,
      beside: `${(heapBefore / 1e6).toFixed(0)} MB before; ${rssMb[1].toFixed(0)} MB resident beside ${rssMb[0].toFixed(0)} MB early`,
      ratio: growth,
      goal: '≤ 1.1',
      met: growth <= 1.1,
    },
  ];
}
