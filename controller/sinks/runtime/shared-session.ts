import { KollectError } from '../../../shared/errors.ts';

/** Connections that a client makes for us, with whatever it tries by itself. */
export interface ClientSession {
  /** Logged in. */
  readonly ready: Promise<void>;
  /** Ends what is under way, and whatever would try again. */
  destroy(): void;
  /** Lets what was sent go out, and closes. */
  close(): Promise<void>;
}

interface Entry<S> {
  session: S;
  users: number;
  /** Somebody does not wait any more for what he sent. */
  isGivenUp: boolean;
}

/**
 * One session for all who use it at a time. It is made when it is needed, and after any error another one: nobody can tell what one may still send that has failed. The
 * former one is closed when nobody uses it any more.
 */
export class SharedSession<S extends ClientSession> {
  readonly #open: () => S;
  #current: Entry<S> | undefined;
  #isClosed = false;

  constructor(open: () => S) {
    this.#open = open;
  }

  /** Runs `work`, and rejects with what `meaning` makes of an error, or when `signal` aborts: then all that the session has under way ends as soon as nobody else uses it. */
  async use<T>(signal: AbortSignal, work: (session: S) => Promise<T>, meaning: (error: unknown, session: S) => KollectError): Promise<T> {
    if (signal.aborted) throw cancelled();
    if (this.#isClosed) throw new KollectError('KOL_SINK_UNAVAILABLE', 'the connection to the server is being closed');
    const entry = (this.#current ??= this.#begin());
    const { session } = entry;
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => {
      this.#leave(entry);
      entry.isGivenUp = true;
      aborted.reject(cancelled());
    };
    signal.addEventListener('abort', abort, { once: true });
    entry.users++;
    try {
      const working = session.ready.then(() => {
        if (signal.aborted) throw cancelled();
        return work(session);
      });
      // It ends soon after an abort, and nobody hears it.
      working.catch(() => undefined);
      return await Promise.race([working, aborted.promise]);
    } catch (error) {
      this.#leave(entry);
      throw meaning(error, session);
    } finally {
      signal.removeEventListener('abort', abort);
      entry.users--;
      if (this.#current !== entry && entry.users === 0) {
        if (entry.isGivenUp) session.destroy();
        else session.close().catch(() => undefined);
      }
    }
  }

  /** Nothing is opened from then on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#current?.session.close();
  }

  #begin(): Entry<S> {
    const session = this.#open();
    session.ready.catch(() => undefined);
    return { session, users: 0, isGivenUp: false };
  }

  #leave(entry: object): void {
    if (this.#current === entry) this.#current = undefined;
  }
}

function cancelled(): KollectError {
  return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
}
