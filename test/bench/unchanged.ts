import { setTimeout as pause } from 'node:timers/promises';
import type { Environment } from './environment.ts';
import type { Figure } from './figures.ts';

export interface Unchanged {
  rows: number;
  /** CPU of the controller for one look, beyond what it needs anyway. */
  cpuMs: number;
  /** Of one look at the database. */
  transactions: number;
  rowsRead: number;
  written: number;
}

interface Counters {
  transactions: number;
  read: number;
  written: number;
}

/** P8: nothing changes, and the destination is looked at each second; beside the same time in which it is not. */
export async function measureUnchanged(environment: Environment, seconds: number): Promise<Unchanged> {
  const { controller, rows } = environment;
  const idle = await during(environment, '24h', seconds);
  const looking = await during(environment, '1s', seconds);
  const each = (key: keyof Counters): number => Math.max(0, looking.counters[key] - idle.counters[key]) / seconds;
  const cpuMs = Math.max(0, ((looking.cpuSeconds - idle.cpuSeconds) * 1000) / seconds);
  environment.report(`P8 ${rows} rows: ${cpuMs.toFixed(1)} ms of CPU a look, ${controller.figures().rssMb.toFixed(0)} MB`);
  return { rows, cpuMs, transactions: each('transactions'), rowsRead: each('read'), written: each('written') };
}

async function during(environment: Environment, exportMinInterval: string, seconds: number): Promise<{ cpuSeconds: number; counters: Counters }> {
  const { controller, kollect } = environment;
  const before = environment.passes('reconcile').length;
  await environment.editInventory({ exportMinInterval });
  await kollect.eventually(() => environment.passes('reconcile').length > before, { timeoutMs: 600_000, what: 'the comparison after an edit' });
  // The status of that comparison is no part of it, and the database tells what it did up to a second later.
  await pause(2_000);
  const [counters, { cpuSeconds }] = [await read(environment), controller.figures()];
  await pause(seconds * 1000);
  const used = controller.figures().cpuSeconds - cpuSeconds;
  await pause(1_500);
  const after = await read(environment);
  const rise = (key: keyof Counters): number => after[key] - counters[key];
  return { cpuSeconds: used, counters: { transactions: rise('transactions'), read: rise('read'), written: rise('written') } };
}

/** Rows of our tables, and transactions of whoever there is. */
async function read({ database }: Environment): Promise<Counters> {
  const { rows } = await database.query<Counters>(
    `SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())::int AS transactions,
      sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int AS read, sum(n_tup_ins + n_tup_upd + n_tup_del)::int AS written FROM pg_stat_user_tables`,
  );
  return rows[0]!;
}

export function unchangedFigures(sizes: readonly Unchanged[]): Figure[] {
  return sizes.map(({ rows, cpuMs, transactions, rowsRead, written }) => ({
    measure: `P8 look at ${rows} unchanged rows, CPU`,
    ours: `${cpuMs.toFixed(1)} ms`,
    beside: `${transactions.toFixed(1)} transactions, ${rowsRead.toFixed(0)} rows read, ${written.toFixed(0)} rows written`,
    goal: '≤ 5 ms, 0 written',
    met: cpuMs <= 5 && written === 0,
  }));
}
