import type { Limits } from '../../shared/api/collection-filter.ts';

/**
 * What holds for a target of which several say how much it may keep: itself, and the scopes above it.
 *
 * @example lowestLimits([{ maxRows: 500 }, undefined, { maxRows: 200, maxBytes: 1e6 }]) // { maxRows: 200, maxBytes: 1e6 }
 */
export function lowestLimits(all: Iterable<Limits | undefined>): Limits {
  const lowest: Limits = {};
  for (const limits of all) {
    for (const field of ['maxRows', 'maxBytes'] as const) {
      const value = limits?.[field];
      if (value !== undefined) lowest[field] = Math.min(value, lowest[field] ?? Infinity);
    }
  }
  return lowest;
}
