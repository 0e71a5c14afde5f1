import { PerformanceObserver, constants } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** Above this share of the heap limit the largest target takes no new objects; below the second it does again. */
const highShare = 0.8;
const lowShare = 0.75;
/** From here on no target does: many that grow together would end the process as well. */
const fullShare = 0.9;

/** How short of memory the process is. */
export type MemoryLevel = 'enough' | 'scarce' | 'full';

/** Whoever must know whether there is memory for more. */
export interface MemoryWatermark {
  readonly level: MemoryLevel;
  stop(): void;
}

/**
 * Watches the part of the heap that is alive. It is measured after each full garbage collection, because before one nobody knows how much
 * of the heap is garbage; and V8 collects long before the limit.
 */
export function watchMemory(): MemoryWatermark {
  let level: MemoryLevel = 'enough';
  const limit = heapLimit();
  const observer = new PerformanceObserver((list) => {
    const full = (list.getEntries() as unknown as GarbageCollection[]).some(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR);
    if (!full) return;
    level = memoryLevel(getHeapStatistics().used_heap_size / limit, level);
  });
  observer.observe({ entryTypes: ['gc'] });
  return {
    get level() {
      return level;
    },
    stop: () => observer.disconnect(),
  };
}

/**
 * V8 adds what it reserves for young objects to the limit that it tells. Beside a limit set by hand that may be as much again, and rows are old
 * objects.
 */
function heapLimit(): number {
  const [, megabytes] = /--max[-_]old[-_]space[-_]size[= ](\d+)/.exec([process.env['NODE_OPTIONS'], ...process.execArgv].join(' ')) ?? [];
  const { heap_size_limit: limit } = getHeapStatistics();
  return megabytes === undefined ? limit : Math.min(limit, Number(megabytes) * 1024 * 1024);
}

interface GarbageCollection {
  detail: { kind: number };
}

/** The level at a share of the heap limit that is alive; it falls later than it rises. */
export function memoryLevel(share: number, before: MemoryLevel): MemoryLevel {
  if (share > fullShare) return 'full';
  return share > highShare || (before !== 'enough' && share > lowShare) ? 'scarce' : 'enough';
}
