import { setTimeout as pause } from 'node:timers/promises';

export interface EventuallyOptions {
  /** A guard against hanging, not an expectation: 60 s by default. */
  timeoutMs?: number;
  intervalMs?: number;
  /** What is awaited, for the message. */
  what?: string;
}

/**
 * Calls `attempt` until it neither throws nor gives `undefined` or `false`, and resolves with what it gave. Rejects after `timeoutMs` with the last
 * failure in its message.
 *
 * @example const row = await eventually(async () => (await psql('select * from inventory'))[0], { what: 'the first row' });
 */
export async function eventually<T>(attempt: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<Exclude<T, undefined | false>> {
  const { timeoutMs = 60_000, intervalMs = 50, what = 'the expected state' } = options;
  const deadline = performance.now() + timeoutMs;
  let last: unknown = 'nothing yet';
  do {
    try {
      const value = await attempt();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      last = value;
    } catch (error) {
      last = error;
    }
    await pause(intervalMs);
  } while (performance.now() < deadline);
  throw new Error(`waited ${timeoutMs} ms for ${what}: ${last instanceof Error ? last.message : String(last)}`, { cause: last });
}
