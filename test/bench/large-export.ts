import { setTimeout as pause } from 'node:timers/promises';
import type { Environment } from './environment.ts';
import type { Figure } from './figures.ts';

export interface LargeExport {
  rows: number;
  seconds: number;
  /** Live heap before the export, and the most that was seen to live while it went on. */
  storeBytes: number;
  peakBytes: number;
  rssMb: number;
  blockMs: number;
}

/** P9: the first export under a statement timeout of 30 s. What lives on the heap is looked at again and again, which costs time that P7 does not have. */
export async function measureLargeExport(environment: Environment): Promise<LargeExport> {
  const { controller, rows } = environment;
  const storeBytes = await controller.liveHeapBytes();
  await controller.scrape();
  const since = performance.now();
  let [peakBytes, blockMs] = [storeBytes, 0];
  const before = environment.passes('reconcile').length;
  await environment.applyInventory();
  while (environment.passes('reconcile').length === before) {
    // Of the export, not of the garbage collection that is asked for below.
    blockMs = Math.max(blockMs, (await controller.scrape()).longestBlockMs);
    const asked = performance.now();
    peakBytes = Math.max(peakBytes, await controller.liveHeapBytes());
    // It stands still meanwhile.
    const stoodMs = performance.now() - asked;
    await controller.scrape();
    await pause(Math.max(500, 3 * stoodMs));
    if (performance.now() - since > 3_600_000) throw new Error(`no export of ${rows} rows within an hour`);
  }
  const seconds = (performance.now() - since) / 1000;
  environment.report(`P9 ${rows} rows in ${seconds.toFixed(1)} s, ${mb(peakBytes - storeBytes)} beside a store of ${mb(storeBytes)}`);
  return { rows, seconds, storeBytes, peakBytes, rssMb: controller.figures().peakRssMb, blockMs };
}

export function largeExportFigures({ rows, seconds, storeBytes, peakBytes, rssMb, blockMs }: LargeExport): Figure[] {
  const extra = peakBytes - storeBytes;
  return [
    { measure: `P9 export of ${rows} rows, memory at most`, ours: `${rssMb.toFixed(0)} MB`, beside: `${seconds.toFixed(1)} s, longest block ${blockMs.toFixed(0)} ms`, goal: '≤ 1536 MB at 1,000,000', met: rssMb <= 1_536 },
    { measure: `P9 export of ${rows} rows, live heap beside the store`, ours: mb(extra), beside: `store ${mb(storeBytes)}`, goal: '≤ 64 MB', met: extra <= 64 * 1024 * 1024 },
  ];
}

function mb(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
