/** One measured thing beside what it is measured against. */
export interface Figure {
  /** Goal's number and what is measured. */
  measure: string;
  ours: string;
  beside: string;
  ratio: number | undefined;
  goal: string;
  met: boolean | undefined;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.measure,
    figure.ours,
    figure.beside,
    figure.ratio === undefined ? '' : figure.ratio.toFixed(2),
    figure.goal,
    figure.met === undefined ? '' : figure.met ? 'met' : 'missed',
  ]);
  const all = [['measure', 'ours', 'beside', 'ratio', 'goal', ''], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n');
}
