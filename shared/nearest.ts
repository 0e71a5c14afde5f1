/**
 * The candidate that a mistyped name most likely meant, or undefined when none is close enough to be worth suggesting.
 * Letter case does not count, and a beginning is enough: `optin` finds `OptIn`, `mongo` finds `mongodb`.
 *
 * @example nearestName('postgress', ['postgres', 'mongodb']) // 'postgres'
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  // A word longer than this is no typing mistake, and the distance below costs length × length.
  if (name.length === 0 || name.length > 64) return undefined;
  const wanted = name.toLowerCase();
  // One slip in a short name, up to three in a long one; none in a name of two letters.
  let best = Math.min(3, Math.floor(wanted.length / 3)) + 1;
  let found: string | undefined;
  for (const candidate of candidates) {
    const lower = candidate.toLowerCase();
    const distance = wanted.length >= 3 && lower.startsWith(wanted) && lower !== wanted ? 1 : editDistance(wanted, lower, best);
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  // A word that goes on where a candidate ends, as github does after git, begins with what was meant.
  const [beginning] = [...candidates].filter((candidate) => candidate.length >= 3 && wanted.startsWith(candidate.toLowerCase())).sort((a, b) => b.length - a.length);
  return best > 1 && beginning !== undefined ? beginning : found;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; infinite as soon as it is seen that they are `limit` or more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  let leastOfLast = 0;
  for (let i = 1; i <= a.length; i++) {
    const row: number[] = [];
    // Further from the diagonal there are more insertions or deletions than the limit.
    const from = Math.max(1, i - limit);
    const to = Math.min(b.length, i + limit);
    row[from - 1] = from === 1 ? i : Number.POSITIVE_INFINITY;
    let least = i;
    for (let j = from; j <= to; j++) {
      const replace = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, replace);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row[j] = cost;
      least = Math.min(least, cost);
    }
    // What follows builds upon these two rows alone, and never costs less.
    if (least >= limit && leastOfLast >= limit) return Number.POSITIVE_INFINITY;
    beforeLast = last;
    last = row;
    leastOfLast = least;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
