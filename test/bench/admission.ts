import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { installCrds } from '../kollect/installation.ts';
import { entryOf, nodeEnvironment, nodeFlags } from '../kollect/process.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { freePort } from '../servers/free-port.ts';
import { median, ratioOf, type Figure } from './figures.ts';
import { processFigures } from './process-figures.ts';
import { review } from './review.ts';
import type { Measure, Scale } from './scale.ts';

const root = join(import.meta.dirname, '..', '..');

/**
 * P1 and P2: the webhook, with a cluster of its own to look into, beside a bare server that parses the review and echoes its uid. Both get the same
 * core, the load another.
 */
export async function benchAdmission(wanted: ReadonlySet<Measure>, scale: Scale, report: (line: string) => void): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kollect-bench-'));
  const children: ChildProcess[] = [];
  const cluster = await startCluster();
  try {
    await installCrds(cluster.kubectl);
    const authority = createAuthority('Kollect bench authority');
    const { certificate, key } = issueCertificate(authority, { hosts: ['127.0.0.1'] });
    const file = (name: string, content: string): string => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const files = { ca: file('ca.crt', authority.certificate), cert: file('tls.crt', certificate), key: file('tls.key', key), body: file('review.json', JSON.stringify(review())) };
    const start = (args: readonly string[]): ChildProcess => {
      const child = spawn(process.execPath, args, { cwd: root, env: { ...process.env, ...nodeEnvironment.webhook }, stdio: ['ignore', 'pipe', 'ignore'] });
      children.push(child);
      return child;
    };

    const barePort = await freePort();
    // Node gets the same flags and environment for both.
    const bare = start([...nodeFlags.webhook, join(import.meta.dirname, 'bare-https-process.ts'), String(barePort), files.cert, files.key]);
    await once(bare.stdout!, 'data');

    const [port, healthPort] = [await freePort(), await freePort()];
    const coldStarts: number[] = [];
    let webhook = bare;
    for (let round = 0; round < scale.rounds; round++) {
      if (webhook !== bare) {
        webhook.kill('SIGKILL');
        await once(webhook, 'exit');
      }
      const since = performance.now();
      webhook = start([...nodeFlags.webhook, entryOf('webhook'), `--port=${port}`, `--cert-path=${folder}`, `--kubeconfig=${cluster.kubeconfig}`, `--health-probe-bind-address=127.0.0.1:${healthPort}`]);
      await eventually(async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok, { intervalMs: 5 });
      coldStarts.push(performance.now() - since);
    }
    await pause(1_000);
    const atRest = processFigures(webhook.pid!).rssMb;

    const pinned = [webhook, bare].every(({ pid }) => pin(pid!, 0));
    if (!pinned) report('P1 without taskset or a second core: servers and load share the cores');
    /** A round of load on one server, and what it cost that server's process. */
    const load = async ({ pid }: ChildProcess, url: string, which: Load = 'again'): Promise<Round> => {
      const program = [process.execPath, join(import.meta.dirname, 'admission-load-process.ts'), url, files.ca, files.body, String(scale.secondsARound), '50', which];
      const [command = '', ...args] = pinned ? ['taskset', '-c', '1', ...program] : program;
      const before = processFigures(pid!).cpuSeconds;
      const { reviews, perSecond, p99Ms } = JSON.parse((await promisify(execFile)(command, args)).stdout) as { reviews: number; perSecond: number; p99Ms: number };
      return { perSecond, p99Ms, cpuMicroseconds: ((processFigures(pid!).cpuSeconds - before) / reviews) * 1e6 };
    };
    const path = '/validate-kollect-dev-v1alpha1-kollectprofile?timeout=5s';
    const rounds: Record<Exclude<Load, 'unlike'> | 'bare', Round>[] = [];
    for (let round = 0; round <= scale.rounds; round++) {
      const again = await load(webhook, `https://127.0.0.1:${port}${path}`);
      const beside = await load(bare, `https://127.0.0.1:${barePort}${path}`);
      const fresh = await load(webhook, `https://127.0.0.1:${port}${path}`, 'fresh');
      report(`P1 round ${round === 0 ? '(warm-up)' : round}: ${again.perSecond.toFixed(0)}/s, ${beyond.fresh} ${fresh.perSecond.toFixed(0)}/s, beside ${beside.perSecond.toFixed(0)}/s`);
      if (round > 0) rounds.push({ again, fresh, bare: beside });
    }
    const rss = { ours: processFigures(webhook.pid!).rssMb, bare: processFigures(bare.pid!).rssMb };
    // Last, because what is remembered of expressions is no part of P2.
    const unlike: (readonly [Round, Round])[] = [];
    for (const { bare } of wanted.has('P1') ? rounds : []) unlike.push([await load(webhook, `https://127.0.0.1:${port}${path}`, 'unlike'), bare]);
    return [
      ...(wanted.has('P1') ? [...loadFigures('', rounds.map(({ again, bare }) => [again, bare])), ...loadFigures(` ${beyond.fresh}`, rounds.map(({ fresh, bare }) => [fresh, bare])), ...loadFigures(` ${beyond.unlike}`, unlike)] : []),
      ...(wanted.has('P2') ? startFigures(median(coldStarts), atRest, rss) : []),
    ];
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Keeps all threads of a process on one core; false where that cannot be done. */
function pin(pid: number, core: number): boolean {
  if (availableParallelism() < 2) return false;
  return spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' }).status === 0;
}

/** What reviews have in common: all but the uid, all but uid and name, or all but uid, name and expressions. */
type Load = 'again' | keyof typeof beyond;

/** One review that comes again and again is answered from memory. Others cost more, and are measured by the same goal. */
const beyond = { fresh: 'of new objects', unlike: 'of new objects with new paths and CEL' } as const;

function loadFigures(of: string, rounds: readonly (readonly [Round, Round])[]): Figure[] {
  const compare = (key: keyof Round): { ours: number; other: number; ratio: number; rounds: number[] } => {
    const [a, b] = [rounds.map(([ours]) => ours[key]), rounds.map(([, others]) => others[key])];
    return { ours: median(a), other: median(b), ...ratioOf(a, b) };
  };
  const [throughput, p99, cpu] = [compare('perSecond'), compare('p99Ms'), compare('cpuMicroseconds')];
  return [
    {
      measure: `P1 admission${of}, throughput on 50 connections`,
      ours: `${throughput.ours.toFixed(0)}/s`,
      beside: `${throughput.other.toFixed(0)}/s bare`,
      ratio: throughput.ratio,
      rounds: throughput.rounds,
      goal: '≥ 0.85',
      met: throughput.ratio >= 0.85,
    },
    {
      measure: `P1 admission${of}, 99th percentile`,
      ours: `${p99.ours.toFixed(1)} ms`,
      beside: `${p99.other.toFixed(1)} ms bare`,
      ratio: p99.ratio,
      rounds: p99.rounds,
      goal: '≤ 2',
      met: p99.ratio <= 2,
    },
    // The same as a cost, which other load on the machine disturbs less.
    {
      measure: `P1 admission${of}, CPU of a review`,
      ours: `${cpu.ours.toFixed(0)} µs`,
      beside: `${cpu.other.toFixed(0)} µs bare`,
      ratio: cpu.ratio,
      rounds: cpu.rounds,
      goal: '≤ 1.18',
      met: cpu.ratio <= 1 / 0.85,
    },
  ];
}

function startFigures(coldStartMs: number, atRestMb: number, rss: { ours: number; bare: number }): Figure[] {
  const ratio = rss.ours / rss.bare;
  return [
    { measure: 'P2 webhook, cold start to ready', ours: `${coldStartMs.toFixed(0)} ms`, goal: '≤ 350 ms', met: coldStartMs <= 350 },
    { measure: 'P2 webhook, memory at rest', ours: `${atRestMb.toFixed(0)} MB`, goal: '≤ 90 MB', met: atRestMb <= 90 },
    { measure: 'P2 webhook, memory after P1', ours: `${rss.ours.toFixed(0)} MB`, beside: `${rss.bare.toFixed(0)} MB bare`, ratio, goal: '≤ 1.4', met: ratio <= 1.4 },
  ];
}

interface Round {
  perSecond: number;
  p99Ms: number;
  cpuMicroseconds: number;
}
