import { bareCopyAndMerge } from './bare-copy.ts';
import { table, type Environment } from './environment.ts';
import { median, ratioOf, type Figure } from './figures.ts';

export interface FirstExport {
  rows: number;
  oursMs: number[];
  bareMs: number[];
  blockMs: number[];
  /** Memory of the controller after the last. */
  rssMb: number;
}

/** P7: an inventory appears, all rows are there, and its table does not exist; beside COPY and merge of the same rows where `compared`. The last export stays. */
export async function measureFirstExport(environment: Environment, { rounds, compared }: { rounds: number; compared: boolean }): Promise<FirstExport> {
  const result: FirstExport = { rows: environment.rows, oursMs: [], bareMs: [], blockMs: [], rssMb: 0 };
  for (let round = 1; round <= rounds; round++) {
    if (round > 1) await environment.deleteInventory();
    await environment.controller.profiled(`first-export-${environment.rows}`, async () => {
      await environment.controller.scrape();
      result.oursMs.push(await firstExport(environment));
      result.blockMs.push((await environment.controller.scrape()).longestBlockMs);
    });
    if (compared) result.bareMs.push(await bareCopyAndMerge(environment.database, table));
    environment.report(`P7 ${environment.rows} rows, round ${round}: ${result.oursMs.at(-1)} ms beside ${result.bareMs.at(-1)?.toFixed(0) ?? '-'} ms`);
  }
  result.rssMb = environment.controller.figures().rssMb;
  return result;
}

/** Milliseconds of the pass, as the controller logs it. */
async function firstExport(environment: Environment): Promise<number> {
  const exports = (): Record<string, unknown>[] =>
    environment.controller.process.logEntries().filter(({ msg, mode, rows }) => msg === 'exported' && mode === 'reconcile' && rows === environment.rows);
  const before = exports().length;
  await environment.applyInventory();
  const exported = await environment.kollect.eventually(() => exports()[before], { timeoutMs: 600_000, intervalMs: 100, what: 'the first export' });
  return Number(exported['ms']);
}

export function firstExportFigures({ rows, oursMs, bareMs, blockMs, rssMb }: FirstExport): Figure[] {
  const { ratio, rounds } = ratioOf(bareMs, oursMs);
  return [
    {
      measure: `P7 first export of ${rows} rows, rate`,
      ours: `${median(oursMs).toFixed(0)} ms`,
      beside: `${median(bareMs).toFixed(0)} ms bare COPY and merge`,
      ratio,
      rounds,
      goal: '≥ 0.8',
      met: ratio >= 0.8,
    },
    { measure: `P7 first export of ${rows} rows, longest block`, ours: `${median(blockMs).toFixed(0)} ms`, beside: `${rssMb.toFixed(0)} MB afterwards`, goal: '' },
  ];
}
