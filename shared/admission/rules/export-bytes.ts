import { invalid } from '../finding.ts';
import type { Report } from '../finding.ts';

/** A limit in bytes, within the ceiling of the installation when it has one. */
export function exportBytes(field: string, bytes: number | undefined, ceiling: number | undefined, report: Report): void {
  if (bytes === undefined) return;
  if (bytes <= 0) report(invalid(field, bytes, 'must be at least 1; leave it out for no limit'));
  else if (ceiling !== undefined && bytes > ceiling) report(invalid(field, bytes, `must be at most ${ceiling}, the limit of this installation (--max-export-bytes)`));
}
