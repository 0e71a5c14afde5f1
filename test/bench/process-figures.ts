import { readFileSync } from 'node:fs';

/** CPU seconds and resident memory in MB of a process, as the kernel counts them. Linux only. */
export function processFigures(pid: number): { cpuSeconds: number; rssMb: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
  // Clock ticks are a hundredth of a second on every Linux that Node runs on.
  const cpuSeconds = (Number(fields[13]) + Number(fields[14])) / 100;
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuSeconds, rssMb: Number(rss) / 1024 };
}
