import type { ReflectorState } from '../../shared/kube/reflector.ts';
import { isBefore } from '../../shared/kube/resource-version.ts';
import type { ResourceWatch } from './resource-watch.ts';
import type { Subscription } from './subscription.ts';
import { covers, joinShapes, type WatchShape } from './watch-shape.ts';

/** Targets that come together get one watch. */
const gatherMs = 200;
const lookMs = 100;
/** Who goes may come back, as in an edit that is made in two steps; and a narrower watch costs a list or two. */
const defaultNarrowMs = 60_000;
/** A bookmark a minute takes the wider watch to where the other one is; not waited for without end. */
const longestLooks = 900;

export interface WideningWatchOptions {
  /** Makes a watch of this shape; it is not started. */
  watch: (shape: WatchShape, onChange: (subscriptions: Iterable<Subscription>) => void) => ResourceWatch;
  onChange: (subscriptions: Iterable<Subscription>) => void;
  /** Milliseconds for which less must have been enough before a narrower watch takes over; 60,000 when unset. */
  narrowMs?: number | undefined;
}

interface Shaped {
  shape: WatchShape;
  watch: ResourceWatch;
}

/**
 * The watch of one scope, which carries as little as all subscriptions agree on. When one comes that needs more, a wider watch begins beside it, feeds
 * those that need it, and takes the others over once its list is complete. A while after the last one left that needed more, a narrower watch takes over
 * in the same way.
 */
export class WideningWatch {
  readonly #options: WideningWatchOptions;
  readonly #subscriptions = new Set<Subscription>();
  #current: Shaped | undefined;
  #next: Shaped | undefined;
  #started = false;
  #gathering: NodeJS.Timeout | undefined;
  #takingOver: NodeJS.Timeout | undefined;
  #narrowing: NodeJS.Timeout | undefined;
  #looks = 0;

  constructor(options: WideningWatchOptions) {
    this.#options = options;
  }

  get subscriptions(): ReadonlySet<Subscription> {
    return this.#subscriptions;
  }

  /** Of every watch that is open. */
  *states(): Generator<ReflectorState> {
    for (const shaped of [this.#current, this.#next]) if (shaped) yield shaped.watch.state;
  }

  /** Of the watch that feeds a subscription. */
  stateOf(subscription: Subscription): ReflectorState {
    return this.#feeding(subscription)?.state ?? { phase: 'Syncing', since: 0 };
  }

  isSynced(subscription: Subscription): boolean {
    return this.#feeding(subscription)?.isSynced(subscription) === true;
  }

  start(): void {
    this.#started = true;
    this.#arrange();
  }

  /** Feeds nobody from here on. Resolves when nothing is open. */
  async stop(): Promise<void> {
    this.#started = false;
    clearTimeout(this.#gathering);
    clearTimeout(this.#takingOver);
    clearTimeout(this.#narrowing);
    this.#subscriptions.clear();
    await Promise.all([this.#current?.watch.stop(), this.#next?.watch.stop()]);
  }

  add(subscription: Subscription): void {
    if (this.#subscriptions.has(subscription)) return;
    this.#subscriptions.add(subscription);
    if (this.#place(subscription) || !this.#started) return;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#arrange();
    }, gatherMs);
  }

  remove(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    this.#current?.watch.remove(subscription);
    this.#next?.watch.remove(subscription);
    this.#narrowLater();
  }

  relist(subscription: Subscription, namespaces?: readonly string[]): void {
    this.#feeding(subscription)?.relist(subscription, namespaces);
  }

  #feeding(subscription: Subscription): ResourceWatch | undefined {
    return [this.#current, this.#next].find((shaped) => shaped?.watch.subscriptions.has(subscription))?.watch;
  }

  /** Begins what is needed for those that nothing feeds. */
  #arrange(): void {
    if (!this.#started) return;
    if (this.#current?.watch.subscriptions.size === 0) {
      void this.#current.watch.stop();
      this.#current = this.#next;
      this.#next = undefined;
    }
    for (const subscription of this.#subscriptions) if (!this.#feeding(subscription)) this.#place(subscription);
    if (this.#subscriptions.values().every((subscription) => this.#feeding(subscription))) return this.#narrowLater();
    void this.#next?.watch.stop();
    const current = this.#current;
    const fed = [...this.#subscriptions].filter((subscription) => !current?.watch.subscriptions.has(subscription));
    const shape = this.#neededShape();
    const watch = this.#options.watch(shape, (subscriptions) => this.#changed(watch, subscriptions));
    for (const subscription of fed) watch.add(subscription);
    this.#next = current && { shape, watch };
    this.#current ??= { shape, watch };
    watch.start();
  }

  /** Begins a narrower watch once that has been enough for a while. */
  #narrowLater(): void {
    clearTimeout(this.#narrowing);
    if (this.#next || !this.#isTooWide()) return;
    this.#narrowing = setTimeout(() => {
      if (!this.#started || this.#next || !this.#isTooWide()) return;
      const shape = this.#neededShape();
      const watch = this.#options.watch(shape, (subscriptions) => this.#changed(watch, subscriptions));
      this.#next = { shape, watch };
      watch.start();
    }, this.#options.narrowMs ?? defaultNarrowMs).unref();
  }

  #isTooWide(): boolean {
    return this.#current !== undefined && this.#subscriptions.size > 0 && !covers(this.#neededShape(), this.#current.shape);
  }

  #neededShape(): WatchShape {
    return joinShapes([...this.#subscriptions].map(({ shape }) => shape));
  }

  /** True when a watch that runs serves it. */
  #place(subscription: Subscription): boolean {
    const shaped = [this.#current, this.#next].find((candidate) => candidate && covers(candidate.shape, subscription.shape));
    shaped?.watch.add(subscription);
    return shaped !== undefined;
  }

  #changed(watch: ResourceWatch, subscriptions: Iterable<Subscription>): void {
    if (watch === this.#next?.watch && watch.state.phase === 'Synced') {
      this.#looks = 0;
      this.#takeOverIn(0);
    }
    this.#options.onChange(subscriptions);
  }

  /** Nobody is moved to a watch that is behind: it would tell of the past. What it is ahead of the other one is listed. */
  #takeOver(): void {
    const [current, next] = [this.#current, this.#next];
    if (!current || next?.watch.state.phase !== 'Synced') return;
    // Somebody may have come meanwhile whom it does not serve.
    if (!current.watch.subscriptions.values().every(({ shape }) => covers(next.shape, shape))) {
      void next.watch.stop();
      this.#next = undefined;
      return this.#arrange();
    }
    const position = current.watch.position;
    const isBehind = next.watch.position === undefined || isBefore(next.watch.position, position);
    if (isBehind && ++this.#looks < longestLooks) return this.#takeOverIn(lookMs);
    const moved = [...current.watch.subscriptions];
    for (const subscription of moved) {
      const wasSynced = current.watch.isSynced(subscription);
      current.watch.remove(subscription);
      next.watch.add(subscription, wasSynced);
    }
    void current.watch.stop();
    this.#current = next;
    this.#next = undefined;
    this.#options.onChange(moved);
    this.#arrange();
  }

  #takeOverIn(delayMs: number): void {
    clearTimeout(this.#takingOver);
    this.#takingOver = setTimeout(() => this.#takeOver(), delayMs);
  }
}
