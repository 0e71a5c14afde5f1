import { setTimeout as pause } from 'node:timers/promises';
import type { ReadSecret } from './secrets.ts';

/** Secrets are not watched, which would take the right to read all of them. */
const defaultIntervalMs = 300_000;
/** Between two reads of a round, so that a thousand Secrets are no burst. */
const gapMs = 50;

interface User {
  version: string | undefined;
  changed: (version: string | undefined) => void;
}

/** Looks now and then whether the Secrets that are in use are still what they were, each once for all who use it. */
export class SecretPoll {
  readonly #readSecret: ReadSecret;
  readonly #intervalMs: number;
  /** By `<namespace>/<name>`. */
  readonly #users = new Map<string, Set<User>>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  /** @param intervalMs 5 min when unset; the time between two rounds differs from it by up to a tenth. */
  constructor(readSecret: ReadSecret, intervalMs = defaultIntervalMs) {
    this.#readSecret = readSecret;
    this.#intervalMs = intervalMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /**
   * Says who uses which resourceVersion, undefined for a Secret that is not there. `changed` is called when a look finds another one.
   * Returns how to end that.
   */
  use(versions: ReadonlyMap<string, string | undefined>, changed: User['changed']): () => void {
    const ends = [...versions].map(([key, version]) => {
      const user: User = { version, changed };
      const users = this.#users.get(key) ?? new Set();
      this.#users.set(key, users.add(user));
      return (): void => {
        users.delete(user);
        if (users.size === 0 && this.#users.get(key) === users) this.#users.delete(key);
      };
    });
    return () => {
      for (const end of ends) end();
    };
  }

  /** Reads the Secrets now. One that is gone or cannot be read counts as unchanged: what was read before may still be good. */
  async areCurrent(versions: ReadonlyMap<string, string>): Promise<boolean> {
    for (const [key, version] of versions) {
      const found = await this.#versionOf(key).catch(() => undefined);
      if (found !== undefined && found !== version) return false;
    }
    return true;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const wait = (ms: number): Promise<void> => pause(ms, undefined, { signal, ref: false }).catch(() => undefined);
    while (!signal.aborted) {
      await wait(this.#intervalMs * (0.9 + Math.random() / 5));
      for (const key of this.#users.keys().toArray()) {
        if (signal.aborted) return;
        await this.#look(key);
        await wait(gapMs);
      }
    }
  }

  async #look(key: string): Promise<void> {
    let version: string | undefined;
    try {
      version = await this.#versionOf(key);
    } catch {
      // Looked at again in the next round.
      return;
    }
    for (const user of Array.from(this.#users.get(key) ?? [])) {
      if (user.version === version) continue;
      user.version = version;
      user.changed(version);
    }
  }

  async #versionOf(key: string): Promise<string | undefined> {
    const slash = key.indexOf('/');
    const secret = await this.#readSecret(key.slice(0, slash), key.slice(slash + 1));
    return secret && (secret.metadata?.resourceVersion ?? '');
  }
}
