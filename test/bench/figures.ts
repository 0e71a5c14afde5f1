/** One measured thing beside what it is measured against. */
export interface Figure {
  /** Goal's number and what is measured. */
  measure: string;
  ours: string;
  beside?: string;
  ratio?: number | undefined;
  /** The ratio of each round: how far they lie apart is the noise. */
  rounds?: readonly number[];
  goal: string;
  /** Undefined where the goal does not apply, as to a size that it does not speak of. */
  met?: boolean | undefined;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** The ratio of each round and their median. Rounds alternate, so that a busy moment of the machine meets both. */
export function ratioOf(ours: readonly number[], others: readonly number[]): { ratio: number; rounds: number[] } {
  const rounds = ours.map((value, index) => value / (others[index] ?? NaN));
  return { ratio: median(rounds), rounds };
}

/** Columns for a terminal. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ measure, ours, beside = '', ratio, rounds = [], goal, met }) => {
    const range = rounds.length > 1 ? `${Math.min(...rounds).toFixed(2)}-${Math.max(...rounds).toFixed(2)}` : '';
    return [measure, ours, beside, ratio?.toFixed(2) ?? '', range, goal, met === undefined ? '' : met ? 'met' : 'missed'];
  });
  const all = [['measure', 'ours', 'beside', 'ratio', 'rounds', 'goal', ''], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n');
}
