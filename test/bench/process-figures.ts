import { readFileSync } from 'node:fs';

/** CPU seconds, and resident memory in MB with the most that it ever was, of a process, as the kernel counts them. Linux only. */
export function processFigures(pid: number): { cpuSeconds: number; rssMb: number; peakRssMb: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
  // Clock ticks are a hundredth of a second on every Linux that Node runs on.
  const cpuSeconds = (Number(fields[13]) + Number(fields[14])) / 100;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { cpuSeconds, rssMb: megabytes('VmRSS'), peakRssMb: megabytes('VmHWM') };
}
