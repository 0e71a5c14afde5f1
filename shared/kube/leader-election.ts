import { setTimeout as sleep } from 'node:timers/promises';
import { KollectError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { KubeClient } from './client.ts';
import { KubeApiError } from './client.ts';
import type { EventRecorder } from './events.ts';
import { LeaseStore, microTime, type Lease, type LeaseSpec } from './lease.ts';

export interface LeaseTimes {
  /** How long others wait after the last renewal that they saw. */
  durationMs: number;
  /** How long the leader goes on without one. */
  renewDeadlineMs: number;
  /** Time between renewals. */
  retryMs: number;
}

/** Who waits for the lease looks at it this often, so that one that is given back is taken at once. */
const lookMs = 1_000;
/** Those who wait together do not ask together. */
const jitter = 0.2;
/** A connection that has stalled must leave time for others before the deadline. */
const longestRequestMs = 10_000;
/** Giving the lease back is a favour to the next leader, and no reason to hang. */
const releaseMs = 5_000;

export interface LeaderElectionOptions {
  /** For this alone, so that nothing else can hold up a renewal. */
  client: KubeClient;
  namespace: string;
  /** Of the Lease. */
  name: string;
  /** Of this process among all that may ever ask for the lease; may be that of an earlier one which is gone for sure. */
  identity: string;
  times: LeaseTimes;
  events: EventRecorder;
  logger: Logger;
}

/**
 * One leader among several processes, by a Lease. All times are differences on the monotonic clock of this process: a lease has run out when nobody was seen
 * to renew it for as long as it says, whatever the clocks of others say; and the leader counts from before it asked for a renewal, so that
 * it stops before anybody else may begin. The number of transitions, which grows with every leader, is the leader's epoch.
 *
 * @example
 * const election = new LeaderElection(options);
 * const { inherited } = await election.acquire(stopping);
 * election.assertLeads(5_000);
 * await election.release();
 */
export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #store: LeaseStore;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  #phase: 'standby' | 'leading' | 'over' = 'standby';
  /** As it was seen last, and since when it looks like that. */
  #lease: Lease | undefined;
  /** Of the lease when there was one last: who deletes it does not end the time of its holder. */
  #terms: LeaseSpec = {};
  #seen = { record: '', at: 0 };
  #renewedAt = 0;
  #deadline: NodeJS.Timeout | undefined;
  #renewing: Promise<void> = Promise.resolve();
  /** Ends the pause between renewals. */
  #wake = new AbortController();
  #epoch = 0;
  #leastEpoch = 0;
  #trouble: string | undefined = 'the lease was not read yet';

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#store = new LeaseStore(options.client, options);
  }

  /** Aborts when this process leads no more; the reason is a `KollectError` that says why. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get isLeading(): boolean {
    return this.#phase === 'leading' && !this.#isOverdue();
  }

  /** Why this process can neither lead nor wait for it; undefined when all is well. */
  get trouble(): string | undefined {
    return this.#phase === 'standby' ? this.#trouble : undefined;
  }

  /** Greater than that of all leaders before, unless somebody deleted the Lease and this process never saw it. */
  get epoch(): number {
    return this.#epoch;
  }

  /**
   * Resolves when this process leads. `inherited`: the former leader did not give the lease back, and something that it sent may still be under way. Rejects
   * when `signal` aborts, and for nothing else.
   */
  async acquire(signal: AbortSignal): Promise<{ inherited: boolean }> {
    for (;;) {
      signal.throwIfAborted();
      const outcome = await this.#tryToLead();
      if (typeof outcome === 'object') {
        // Nobody wants it any more.
        if (signal.aborted) await this.release();
        signal.throwIfAborted();
        return outcome;
      }
      await sleep(outcome, undefined, { signal });
    }
  }

  /** Throws `KOL_LEADER_LOST` unless no other process can lead for the next `ms` milliseconds. */
  assertLeads(ms = 0): void {
    if (this.#phase === 'leading' && this.#isOverdue()) this.#lose('it could not be renewed in time');
    const leftMs = this.#phase === 'leading' ? this.#renewedAt + this.#options.times.durationMs - performance.now() : 0;
    if (leftMs <= ms) throw this.#error(this.#phase === 'leading' ? `it ends in ${Math.round(leftMs)} ms unless it is renewed` : 'this process does not hold it');
  }

  /** Somebody met traces of an epoch that is higher than ours: if we lead, the next one will be higher still. */
  outrank(epoch: number): void {
    if (epoch < this.#leastEpoch) return;
    this.#leastEpoch = epoch + 1;
    this.#wake.abort();
  }

  /** Ends the leadership and gives the lease back, so that the next leader need not wait. To be called when nothing is under way any more. */
  async release(): Promise<void> {
    if (this.#phase !== 'leading') return;
    const { logger, identity } = this.#options;
    this.#end();
    await this.#renewing;
    const signal = AbortSignal.timeout(releaseMs);
    while (!signal.aborted) {
      try {
        const now = microTime();
        this.#lease = await this.#store.write(this.#lease, { holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now }, signal);
        logger.info('gave the lease back', { lease: this.#title });
        this.#event('stopped leading');
        return;
      } catch (error) {
        logger.warn('the lease could not be given back', { lease: this.#title, error });
        if (!isConflict(error)) return;
        // A renewal that was cut off has arrived, or somebody has edited the Lease.
        this.#lease = await this.#store.read(signal).catch(() => undefined);
        if (this.#lease?.spec?.holderIdentity !== identity) return;
      }
    }
  }

  /** Leads, or gives the milliseconds to wait until the next attempt. */
  async #tryToLead(): Promise<{ inherited: boolean } | number> {
    const pauseMs = Math.min(lookMs, this.#options.times.retryMs) * (1 + jitter * Math.random());
    const { identity } = this.#options;
    const askedAt = performance.now();
    try {
      this.#observe(await this.#store.read(this.#requestLimit()));
      this.#tell(undefined);
      const { holderIdentity: holder = '', leaseDurationSeconds = 0, leaseTransitions = -1 } = this.#terms;
      const endsAt = this.#seen.at + leaseDurationSeconds * 1_000;
      if (holder !== '' && holder !== identity && askedAt < endsAt) return Math.min(pauseMs, endsAt - askedAt);
      await this.#renew(leaseTransitions + 1);
      return { inherited: holder !== '' };
    } catch (error) {
      // A conflict: somebody was faster.
      if (!isConflict(error)) this.#tell(error);
      return pauseMs;
    }
  }

  #observe(lease: Lease | undefined): void {
    const record = JSON.stringify(lease?.spec);
    const { spec = this.#terms } = lease ?? {};
    const { holderIdentity: holder } = spec;
    if (holder && holder !== this.#terms.holderIdentity) this.#options.logger.info('another process leads', { lease: this.#title, holder });
    this.#lease = lease;
    this.#terms = spec;
    if (record !== this.#seen.record) this.#seen = { record, at: performance.now() };
  }

  #tell(error: unknown): void {
    const { message } = error instanceof Error ? error : { message: undefined };
    if (message !== undefined && message !== this.#trouble) this.#options.logger.warn('cannot ask for the lease', { lease: this.#title, error });
    this.#trouble = message;
  }

  /** Writes the lease as ours. */
  async #renew(epoch: number): Promise<void> {
    const { identity, logger, times } = this.#options;
    const first = this.#phase === 'standby';
    const askedAt = performance.now();
    const now = microTime();
    const spec = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(times.durationMs / 1_000), renewTime: now, leaseTransitions: epoch };
    this.#lease = await this.#store.write(this.#lease, first || !this.#lease ? { ...spec, acquireTime: now } : spec, this.#requestLimit());
    if (this.#phase === 'over') return;
    this.#renewedAt = askedAt;
    this.#epoch = epoch;
    this.#phase = 'leading';
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#lose('it could not be renewed in time'), askedAt + times.renewDeadlineMs - performance.now());
    if (!first) return;
    logger.info('leading', { lease: this.#title, identity, epoch });
    this.#event('became leader');
    this.#renewing = this.#keepRenewing();
  }

  async #keepRenewing(): Promise<void> {
    const { retryMs } = this.#options.times;
    for (let failed = false; ; ) {
      const dueMs = this.#epoch < this.#leastEpoch ? 0 : this.#renewedAt + retryMs - performance.now();
      const signal = AbortSignal.any([this.#ended.signal, this.#wake.signal]);
      await sleep(failed ? retryMs * Math.random() : Math.max(0, dueMs), undefined, { signal }).catch(() => undefined);
      if (this.#phase !== 'leading') return;
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      try {
        await this.#renew(Math.max(this.#epoch, this.#leastEpoch));
        failed = false;
      } catch (error) {
        failed = true;
        if (!this.#ended.signal.aborted) await this.#lookAfter(error);
      }
    }
  }

  /** A renewal has failed: is the lease still ours? */
  async #lookAfter(error: unknown): Promise<void> {
    const { logger, identity } = this.#options;
    logger.warn('the lease could not be renewed', { lease: this.#title, error });
    if (!isConflict(error) && !(error instanceof KubeApiError && error.status === 404)) return;
    try {
      this.#lease = await this.#store.read(this.#requestLimit());
    } catch {
      return;
    }
    const holder = this.#lease?.spec?.holderIdentity;
    // Somebody who deleted the Lease, or edited anything else of it, does not lead.
    if (this.#lease !== undefined && holder !== identity) this.#lose(holder ? `${holder} holds it` : 'somebody has taken it away');
  }

  #requestLimit(): AbortSignal {
    return AbortSignal.any([this.#ended.signal, AbortSignal.timeout(Math.min(longestRequestMs, this.#options.times.renewDeadlineMs / 4))]);
  }

  #isOverdue(): boolean {
    return performance.now() >= this.#renewedAt + this.#options.times.renewDeadlineMs;
  }

  #lose(why: string): void {
    if (this.#phase !== 'leading') return;
    this.#end();
    this.#event('stopped leading');
    this.#lost.abort(this.#error(why));
  }

  #end(): void {
    this.#phase = 'over';
    clearTimeout(this.#deadline);
    this.#ended.abort();
  }

  #event(what: string): void {
    const { events, identity } = this.#options;
    if (this.#lease) events.event(this.#lease, 'Normal', 'LeaderElection', `${identity} ${what}`);
  }

  get #title(): string {
    return `${this.#store.namespace}/${this.#store.name}`;
  }

  #error(why: string): KollectError {
    return new KollectError('KOL_LEADER_LOST', `the Lease ${this.#title} does not let this process write: ${why}`);
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof KubeApiError && error.status === 409;
}
