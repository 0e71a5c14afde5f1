import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Environment } from './environment.ts';
import { median, ratioOf, type Figure } from './figures.ts';

/** What one collection cost. */
interface Cost {
  wallSeconds: number;
  cpuSeconds: number;
  blockMs: number;
}

export interface Collection {
  rows: number;
  ours: Cost[];
  /** Fetching and parsing the same pages, in a process of its own. */
  bare: Cost[];
  rssMb: number;
  heapBytes: number;
}

/**
 * P3 and P4: from the creation of a target to the status that counts all objects, in a controller that was just started, beside a process that only
 * lists and parses. The controller goes on afterwards.
 */
export async function measureCollection(environment: Environment, rounds: number): Promise<Collection> {
  const ours: Cost[] = [];
  const bare: Cost[] = [];
  for (let round = 1; round <= rounds; round++) {
    bare.push(await listBare(environment));
    if (round > 1) await environment.reset();
    ours.push(await collect(environment));
    const [mine, other] = [ours.at(-1)!, bare.at(-1)!];
    environment.report(`P3 ${environment.rows} rows, round ${round}: ${mine.wallSeconds.toFixed(2)} s and ${mine.cpuSeconds.toFixed(2)} s of CPU beside ${other.wallSeconds.toFixed(2)} s and ${other.cpuSeconds.toFixed(2)} s`);
  }
  // Until the young generation is at rest.
  await pause(3_000);
  const { rssMb } = environment.controller.figures();
  return { rows: environment.rows, ours, bare, rssMb, heapBytes: await environment.controller.liveHeapBytes() };
}

async function listBare({ kollect: { cluster }, generated }: Environment): Promise<Cost> {
  const args = [join(import.meta.dirname, 'bare-list-process.ts'), (generated ?? cluster).url, cluster.caFile, cluster.adminToken];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as Cost;
}

async function collect(environment: Environment): Promise<Cost> {
  const { controller } = environment;
  await controller.process.start();
  return await controller.profiled(`collection-${environment.rows}`, async () => {
    // Loading the program is none of collection's: the longest block counts from here.
    await controller.scrape();
    const { cpuSeconds } = controller.figures();
    const since = performance.now();
    await environment.createTarget();
    await environment.untilCollected();
    const wallSeconds = (performance.now() - since) / 1000;
    const used = controller.figures().cpuSeconds - cpuSeconds;
    return { wallSeconds, cpuSeconds: used, blockMs: (await controller.scrape()).longestBlockMs };
  });
}

export function collectionFigures({ rows, ours, bare }: Collection): Figure[] {
  const compare = (key: keyof Cost): { ours: number; other: number; ratio: number; rounds: number[] } => {
    const [a, b] = [ours.map((cost) => cost[key]), bare.map((cost) => cost[key])];
    return { ours: median(a), other: median(b), ...ratioOf(a, b) };
  };
  const [cpu, wall, block] = [compare('cpuSeconds'), compare('wallSeconds'), compare('blockMs')];
  const seconds = (value: number): string => `${value.toFixed(2)} s`;
  return [
    { measure: `P3 collect ${rows}, CPU`, ours: seconds(cpu.ours), beside: `${seconds(cpu.other)} list and parse`, ratio: cpu.ratio, rounds: cpu.rounds, goal: '≤ 2', met: cpu.ratio <= 2 },
    { measure: `P3 collect ${rows}, wall`, ours: seconds(wall.ours), beside: seconds(wall.other), ratio: wall.ratio, rounds: wall.rounds, goal: '≤ 1.3', met: wall.ratio <= 1.3 },
    {
      measure: `P3 collect ${rows}, longest block of the event loop`,
      ours: `${block.ours.toFixed(0)} ms`,
      beside: `${block.other.toFixed(0)} ms`,
      ratio: block.ratio,
      rounds: block.rounds,
      goal: '≤ 50 ms',
      met: block.ours <= 50,
    },
  ];
}

/** `smaller` is the same at another number of rows, for what a further row takes. */
export function memoryFigures({ rows, rssMb, heapBytes }: Collection, smaller: Collection | undefined): Figure[] {
  const figures: Figure[] = [{ measure: `P4 memory with ${rows} rows`, ours: `${rssMb.toFixed(0)} MB`, beside: `${(heapBytes / 1e6).toFixed(0)} MB live on the heap`, goal: '≤ 400 MB at 100,000', met: rssMb <= 400 }];
  if (smaller) {
    const perRow = (heapBytes - smaller.heapBytes) / (rows - smaller.rows);
    figures.push({ measure: `P4 heap of a row beyond ${smaller.rows}`, ours: `${perRow.toFixed(0)} B`, goal: '≤ 1 KB', met: perRow <= 1_024 });
  }
  return figures;
}
