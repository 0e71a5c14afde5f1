import { KollectError } from '../../../shared/errors.ts';
import type { Dialer } from '../contract.ts';
import { sqlState } from './errors.ts';
import { Session } from './session.ts';
import type { ResolvedSettings } from './settings.ts';

/** Passes in flight at one destination; more only wait for each other's locks and disk. */
export const maxSessions = 2;
/** A quiet inventory holds no connection. */
const idleMs = 60_000;

/**
 * At most two sessions at one destination, handed out in the order in which they are asked for, opened when needed and closed when
 * idle.
 */
export class SessionPool {
  readonly #settings: ResolvedSettings;
  readonly #dialer: Dialer;
  readonly #idle: { session: Session; timer: NodeJS.Timeout }[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #closing = new AbortController();
  #used = 0;

  constructor(settings: ResolvedSettings, dialer: Dialer) {
    this.#settings = settings;
    this.#dialer = dialer;
  }

  /** Runs `work` with a session. When `signal` aborts, its statement is cancelled, and what it had not committed is rolled back. */
  async use<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const both = AbortSignal.any([signal, this.#closing.signal]);
    await this.#enter(both);
    try {
      const session = this.#takeIdle() ?? (await this.#open(both));
      const abort = (): void => session.cancel(cancelled());
      both.addEventListener('abort', abort, { once: true });
      try {
        if (both.aborted) throw cancelled();
        return await work(session);
      } catch (error) {
        // A server that says that it has stopped is there.
        if (session.fault && sqlState(error instanceof KollectError ? error.cause : error) === '57014') throw new KollectError('KOL_SINK_BUSY', session.fault.message, { cause: error });
        throw session.fault ?? error;
      } finally {
        both.removeEventListener('abort', abort);
        await this.#giveBack(session);
      }
    } finally {
      this.#used--;
      this.#waiting.shift()?.();
    }
  }

  /** Cancels what runs and closes all sessions. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(
      this.#idle.splice(0).map(({ session, timer }) => {
        clearTimeout(timer);
        return session.close();
      }),
    );
  }

  async #open(signal: AbortSignal): Promise<Session> {
    try {
      const { host, port } = this.#settings.dsn;
      const address = await this.#dialer.resolve(host, port, 'the host of the connection string');
      return await Session.open(this.#settings, address, signal);
    } catch (error) {
      throw signal.aborted ? cancelled() : error;
    }
  }

  #takeIdle(): Session | undefined {
    for (let entry = this.#idle.pop(); entry; entry = this.#idle.pop()) {
      clearTimeout(entry.timer);
      if (!entry.session.broken) return entry.session;
      void entry.session.close();
    }
    return undefined;
  }

  async #giveBack(session: Session): Promise<void> {
    if (session.broken || this.#closing.signal.aborted) {
      await session.close();
      return;
    }
    const entry = {
      session,
      timer: setTimeout(() => {
        this.#idle.splice(this.#idle.indexOf(entry), 1);
        void session.close();
      }, idleMs),
    };
    entry.timer.unref();
    this.#idle.push(entry);
  }

  async #enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw cancelled();
    if (this.#used < maxSessions) {
      this.#used++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(new KollectError('KOL_SINK_BUSY', cancelled().message));
      };
      const turn = (): void => {
        signal.removeEventListener('abort', abort);
        this.#used++;
        resolve();
      };
      this.#waiting.push(turn);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}

function cancelled(): KollectError {
  return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
}
