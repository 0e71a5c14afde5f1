export type Report = (line: string) => void;

/** How often something that takes long says that it still goes on. */
const repeatMs = 15_000;

export interface Progress {
  say(text: string): void;
  /** Says `text … 30 s` when enough time has passed since it last did. */
  repeat(text: string, seconds: number): void;
  /** Runs `work`, saying now and then that it goes on and in the end how long it took. */
  during<T>(text: string, work: () => Promise<T>): Promise<T>;
}

/**
 * Lines of progress of one thing.
 *
 * @example
 * await progressOf('etcd 3.6.14', console.log).during('building', build);
 * // etcd 3.6.14                    building
 * // etcd 3.6.14                    building … 15 s
 * // etcd 3.6.14                    ready (22 s)
 */
export function progressOf(subject: string, report: Report = () => {}): Progress {
  const say = (text: string) => report(`${subject.padEnd(32)}${text}`);
  let repeated = 0;
  const repeat = (text: string, seconds: number) => {
    if (seconds * 1000 < repeated) return;
    repeated = (Math.floor((seconds * 1000) / repeatMs) + 1) * repeatMs;
    say(seconds < 1 ? text : `${text} … ${Math.round(seconds)} s`);
  };
  const during = async <T>(text: string, work: () => Promise<T>) => {
    const since = performance.now();
    const seconds = () => (performance.now() - since) / 1000;
    say(text);
    const timer = setInterval(() => say(`${text} … ${Math.round(seconds())} s`), repeatMs);
    try {
      const result = await work();
      say(`ready (${Math.round(seconds())} s)`);
      return result;
    } finally {
      clearInterval(timer);
    }
  };
  return { say, repeat, during };
}
