import type { Limits } from '../../shared/api/collection-filter.ts';
import type { TargetRows } from './target-rows.ts';

const lookMs = 5_000;
/**
 * A list for what was refused comes no sooner than this after another one. Each list doubles the time, unless there is more room than it had, and enough for all.
 * Room is an estimate: what the last list could not bring back with the same room, the next cannot either.
 */
const firstGapMs = 30_000;
const longestGapMs = 600_000;

/** A target that is being collected. */
export interface Refusing {
  readonly rows: TargetRows;
  /** Lists its objects again. */
  relist(): void;
}

interface Incomplete {
  limits: string;
  gapMs: number;
  /** When it was listed, in monotonic milliseconds. */
  listedAt: number;
  /** The least room since then. */
  room: number;
}

export interface RefusalKeeperOptions {
  collections: () => Iterable<Refusing>;
  /** A target became incomplete, or complete again. */
  onChange: (rows: TargetRows) => void;
}

/** Brings back what targets refused, once rows left, memory is free or a limit was raised. */
export class RefusalKeeper {
  readonly #options: RefusalKeeperOptions;
  readonly #incomplete = new Map<TargetRows, Incomplete>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: RefusalKeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(), lookMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Sets the limits of a target. When they are other ones, what it refused is listed again at once. */
  limit(rows: TargetRows, limits: Limits): void {
    if (rows.refused.any) this.look();
    rows.limits = limits;
    if (rows.refused.any) this.look();
  }

  /** Looks at all targets. Happens by itself every few seconds. `now` is in monotonic milliseconds. */
  look(now = performance.now()): void {
    const seen = new Set<TargetRows>();
    for (const { rows, relist } of this.#options.collections()) {
      seen.add(rows);
      if (!rows.refused.any) {
        if (this.#incomplete.delete(rows)) this.#options.onChange(rows);
        continue;
      }
      const limits = JSON.stringify(rows.limits);
      let entry = this.#incomplete.get(rows);
      if (!entry) this.#options.onChange(rows);
      if (entry?.limits !== limits) {
        entry = { limits, gapMs: firstGapMs, listedAt: entry ? -Infinity : now, room: 0 };
        this.#incomplete.set(rows, entry);
      }
      const { room } = rows;
      const { count, tooLarge, more } = rows.refused;
      if (count === tooLarge && !more) continue;
      const forAll = room >= count - tooLarge && !more && room > entry.room;
      entry.room = Math.min(entry.room, room);
      if (room === 0 || now < entry.listedAt + (forAll ? firstGapMs : entry.gapMs)) continue;
      relist();
      entry.listedAt = now;
      entry.room = room;
      entry.gapMs = Math.min(longestGapMs, entry.gapMs * 2);
    }
    for (const rows of this.#incomplete.keys()) if (!seen.has(rows)) this.#incomplete.delete(rows);
  }
}
