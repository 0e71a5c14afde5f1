/**
 * CPU of this thread that a call takes at best, in milliseconds. Whatever else runs on the machine slows it down too, and collecting the garbage of others is
 * counted as well, so that a call that took `enoughMs` or more gets further chances.
 */
export function cpuMs(call: () => unknown, enoughMs = 0): number {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 5 && best >= enoughMs; attempt++) best = Math.min(best, once(call));
  return best;
}

function once(call: () => unknown): number {
  const before = process.threadCpuUsage();
  call();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

const fourMegabytes = JSON.stringify(Array.from({ length: 140_000 }, (_, v) => ({ name: `n${v}`, v })));

/** What parsing four megabytes takes here and now, in milliseconds of CPU. */
export function parsingCpuMs(): number {
  return cpuMs(() => JSON.parse(fourMegabytes));
}

/** The same on an idle machine. */
const idleParsingMs = 25;

/**
 * CPU of this thread that a call takes at best, in milliseconds of a machine that is idle: a machine on which parsing takes longer, because it is slow or busy, is
 * granted that much more. A call that took `enoughMs` or more gets further chances, each beside another look at the machine.
 */
export function idleCpuMs(call: () => unknown, enoughMs: number): number {
  let best = once(call);
  for (let attempt = 0; attempt < 4 && best >= enoughMs; attempt++) best = Math.min(best, once(call) * Math.min(1, idleParsingMs / parsingCpuMs()));
  return best;
}
