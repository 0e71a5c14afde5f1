import { KollectError } from '../../../shared/errors.ts';
import type { PassQueue, PassRequest } from '../contract.ts';
import { retryDelayMs } from '../../backoff.ts';

/** A full pass that was passed over so often goes first: deltas that never end must not keep it out for ever. */
const patience = 16;
/** Longer timers fire at once; waking early costs nothing. */
const longestTimerMs = 2 ** 31 - 1;

interface Waiter extends PassRequest {
  passedOver: number;
  /** The failure that it was told of. */
  told: KollectError | undefined;
  start(): void;
}

/** What a failure leaves behind. Times are monotonic, in milliseconds. */
interface Hold {
  error: unknown;
  failures: number;
  since: number;
  until: number;
}

/**
 * The queue in front of one destination. It lets a few passes in at a time, all inventories in turn, deltas before full passes, and is
 * never filled by full ones alone. While a destination is not available it lets one pass try now and then, and holds the others; any
 * other failure holds only the binding that met it. The time between attempts grows, with jitter.
 */
export class SinkGate implements PassQueue {
  readonly #concurrency: number;
  /** In the order of arrival. */
  readonly #waiting: Waiter[] = [];
  /** Turns are counted; the one of each inventory's last. */
  readonly #served = new Map<string, number>();
  #turns = 0;
  readonly #inside = { delta: 0, full: 0 };
  readonly #holds = new Map<string, Hold>();
  #outage: Hold | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param concurrency passes that may run at a time. */
  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Nobody is inside or waits, and no failure holds anybody. */
  get isIdle(): boolean {
    const { delta, full } = this.#inside;
    return delta + full + this.#waiting.length + this.#holds.size === 0 && (this.#outage?.until ?? 0) <= performance.now();
  }

  async pass(request: PassRequest, work: (answered: () => void) => Promise<boolean>): Promise<void> {
    await this.#turn(request);
    const started = performance.now();
    const answered = (): void => {
      if (!this.#outage) return;
      this.#outage = undefined;
      this.#admit();
    };
    try {
      if (await work(answered)) {
        this.#holds.delete(request.binding);
        this.#outage = undefined;
      }
    } catch (error) {
      // A pass that was cancelled says nothing about the destination.
      if (!request.signal.aborted) this.#hold(request.binding, started, error);
      throw error;
    } finally {
      this.#inside[request.mode]--;
      this.#admit();
    }
  }

  forget(binding: string): void {
    this.#holds.delete(binding);
    this.#admit();
  }

  release(binding: string): void {
    if (this.#outage) this.#outage.until = 0;
    this.forget(binding);
  }

  #turn(request: PassRequest): Promise<void> {
    const { signal } = request;
    return new Promise((resolve, reject) => {
      const cancelled = (): KollectError => new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
      if (signal.aborted) return reject(cancelled());
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        this.#admit();
        reject(cancelled());
      };
      const start = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiter: Waiter = { ...request, passedOver: 0, told: undefined, start };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiter);
      this.#admit();
    });
  }

  /** Lets in whoever may go now, and sees to it that the others are looked at again. */
  #admit(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    for (let next = this.#next(now); next; next = this.#next(now)) {
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      if (next.mode === 'delta') for (const waiter of this.#waiting) if (waiter.mode === 'full') waiter.passedOver++;
      this.#served.set(next.inventory, ++this.#turns);
      this.#inside[next.mode]++;
      next.start();
    }
    this.#tell();
    const times = this.#waiting.map((waiter) => this.#heldUntil(waiter)).filter((until) => until > now);
    if (times.length > 0) this.#timer = setTimeout(() => this.#admit(), Math.min(longestTimerMs, Math.min(...times) - now));
    else if (this.#waiting.length === 0 && this.#inside.delta + this.#inside.full === 0) this.#served.clear();
  }

  /** Who waits for a destination to come back shall know. */
  #tell(): void {
    const error = this.#outage?.error;
    if (!(error instanceof KollectError)) return;
    for (const waiter of this.#waiting) {
      if (waiter.told === error) continue;
      waiter.told = error;
      waiter.held?.(error);
    }
  }

  #next(now: number): Waiter | undefined {
    const { delta, full } = this.#inside;
    if (delta + full >= (this.#outage ? 1 : this.#concurrency)) return undefined;
    // A full pass takes minutes, and a delta must not wait for it where two may run.
    const fullFits = full < Math.max(1, this.#concurrency - 1);
    let first: Waiter | undefined;
    for (const waiter of this.#waiting) {
      if (this.#heldUntil(waiter) > now || (waiter.mode === 'full' && !fullFits)) continue;
      // Of equals the one that came first.
      if (!first || (rank(waiter) - rank(first) || this.#lastTurn(waiter) - this.#lastTurn(first)) < 0) first = waiter;
    }
    return first;
  }

  #lastTurn({ inventory }: Waiter): number {
    return this.#served.get(inventory) ?? 0;
  }

  #heldUntil({ binding }: Waiter): number {
    return Math.max(this.#outage?.until ?? 0, this.#holds.get(binding)?.until ?? 0);
  }

  #hold(binding: string, started: number, error: unknown): void {
    const outage = error instanceof KollectError && error.code === 'KOL_SINK_UNAVAILABLE';
    const before = outage ? this.#outage : this.#holds.get(binding);
    // Passes that ran at the same time met the same failure.
    if (before && started < before.since) return;
    const failures = (before?.failures ?? 0) + 1;
    const since = performance.now();
    const delayMs = (error instanceof KollectError ? error.retryAfterMs : undefined) ?? retryDelayMs(error instanceof KollectError ? error.class : 'transient', failures);
    const hold: Hold = { error, failures, since, until: since + delayMs };
    if (outage) this.#outage = hold;
    else {
      // The destination answered.
      this.#outage = undefined;
      this.#holds.set(binding, hold);
    }
  }
}

/** Lower goes first. */
function rank({ mode, passedOver }: Waiter): number {
  return mode === 'delta' ? 1 : passedOver >= patience ? 0 : 2;
}
