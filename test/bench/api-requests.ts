import { setTimeout as pause } from 'node:timers/promises';
import type { Environment } from './environment.ts';
import type { Figure } from './figures.ts';

export interface ApiRequests {
  seconds: number;
  /** What watches and requests went through while nothing changed, by name. */
  idle: Map<string, number>;
  /** Writes of the inventory's status while rows changed all the time. */
  statusWrites: number;
  changes: number;
  changingSeconds: number;
}

/** Status may come so late, so it is over after that. */
const statusGapMs = 10_000;
const changesASecond = 20;

/** P12: what the API server is asked while nothing happens, and how often status is written while rows change. */
export async function measureApiRequests(environment: Environment, seconds: number): Promise<ApiRequests> {
  const { controller, rows } = environment;
  await pause(2 * statusGapMs + 2_000);
  const before = (await controller.scrape()).series(name);
  await pause(seconds * 1000);
  const after = (await controller.scrape()).series(name);
  const idle = new Map([...after].map(([labels, count]): [string, number] => [/event="([^"]*)"/.exec(labels)?.[1] ?? labels, count - (before.get(labels) ?? 0)]).filter(([, count]) => count > 0));

  const versions = new Set([await environment.inventoryVersion()]);
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  let changes = 0;
  while (elapsed() < seconds) {
    for (; changes < elapsed() * changesASecond; changes++) await environment.scale(changes % rows, 5 * rows + changes);
    versions.add(await environment.inventoryVersion());
    await pause(100);
  }
  const result: ApiRequests = { seconds, idle, statusWrites: versions.size - 1, changes, changingSeconds: elapsed() };
  environment.report(`P12 idle for ${seconds} s: ${shown(idle)}; ${result.statusWrites} writes of status in ${result.changingSeconds.toFixed(0)} s of changes`);
  return result;
}

const name = 'kollect_kube_events_total';

function shown(events: ReadonlyMap<string, number>): string {
  return events.size === 0 ? 'nothing' : [...events].map(([event, count]) => `${count} ${event}`).join(', ');
}

export function apiRequestFigures({ seconds, idle, statusWrites, changes, changingSeconds }: ApiRequests): Figure[] {
  const requests = [...idle].filter(([event]) => event.startsWith('request')).reduce((sum, [, count]) => sum + count, 0);
  const most = Math.ceil(changingSeconds / (statusGapMs / 1000));
  return [
    { measure: `P12 requests to the API server, idle for ${seconds} s`, ours: String(requests), beside: shown(idle), goal: '0, and the lease', met: requests === 0 },
    { measure: `P12 writes of an inventory's status, ${changes} changes`, ours: String(statusWrites), beside: `in ${changingSeconds.toFixed(0)} s`, goal: `≤ ${most}`, met: statusWrites <= most },
  ];
}
