import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { eventually } from '../servers/eventually.ts';
import { freePort } from '../servers/free-port.ts';
import { median, type Figure } from './figures.ts';
import { processFigures } from './process-figures.ts';

const rounds = 5;
const secondsARound = 3;
const root = join(import.meta.dirname, '..', '..');

/** P1 and P2: the webhook beside a bare server that parses the review and echoes its uid. */
export async function benchAdmission(report: (line: string) => void): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kollect-bench-'));
  const children: ChildProcess[] = [];
  try {
    const authority = createAuthority('Kollect bench authority');
    const { certificate, key } = issueCertificate(authority, { hosts: ['127.0.0.1'] });
    const file = (name: string, content: string): string => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const files = { ca: file('ca.crt', authority.certificate), cert: file('tls.crt', certificate), key: file('tls.key', key), body: file('review.json', JSON.stringify(review())) };
    const start = (args: readonly string[]): ChildProcess => {
      const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
      children.push(child);
      return child;
    };

    const barePort = await freePort();
    const bare = start([join(import.meta.dirname, 'bare-https-process.ts'), String(barePort), files.cert, files.key]);
    await once(bare.stdout!, 'data');

    const [port, healthPort] = [await freePort(), await freePort()];
    const coldStarts: number[] = [];
    let webhook: ChildProcess | undefined;
    for (let round = 0; round < rounds; round++) {
      webhook?.kill('SIGKILL');
      if (webhook) await once(webhook, 'exit');
      const since = performance.now();
      webhook = start(['dist/webhook.js', `--port=${port}`, `--cert-path=${folder}`, `--health-probe-bind-address=127.0.0.1:${healthPort}`]);
      await eventually(async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok, { intervalMs: 5 });
      coldStarts.push(performance.now() - since);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const atRest = processFigures(webhook!.pid!).rssMb;

    const load = async (url: string): Promise<{ perSecond: number; p99Ms: number }> => {
      const args = [join(import.meta.dirname, 'admission-load-process.ts'), url, files.ca, files.body, String(secondsARound)];
      return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as { perSecond: number; p99Ms: number };
    };
    /** A round of load on one server, and what it cost that server's process. */
    const round = async (pid: number, url: string): Promise<Round> => {
      const before = processFigures(pid).cpuSeconds;
      const { perSecond, p99Ms } = await load(url);
      return { perSecond, p99Ms, cpuMicroseconds: ((processFigures(pid).cpuSeconds - before) / (perSecond * secondsARound)) * 1e6 };
    };
    const ours: Round[] = [];
    const theirs: Round[] = [];
    for (let number = 0; number <= rounds; number++) {
      const a = await round(webhook!.pid!, `https://127.0.0.1:${port}/validate-kollect-dev-v1alpha1-kollectprofile`);
      const b = await round(bare.pid!, `https://127.0.0.1:${barePort}/`);
      report(`P1 round ${number === 0 ? '(warm-up)' : number}: ${a.perSecond.toFixed(0)}/s beside ${b.perSecond.toFixed(0)}/s`);
      if (number === 0) continue;
      ours.push(a);
      theirs.push(b);
    }
    const rss = { ours: processFigures(webhook!.pid!).rssMb, bare: processFigures(bare.pid!).rssMb };
    const throughput = ratio(ours, theirs, 'perSecond');
    const p99 = ratio(ours, theirs, 'p99Ms');
    const cpu = ratio(ours, theirs, 'cpuMicroseconds');
    const coldStart = median(coldStarts);
    return [
      {
        measure: 'P1 admission, throughput on 50 connections',
        ours: `${median(ours.map((each) => each.perSecond)).toFixed(0)}/s`,
        beside: `${median(theirs.map((each) => each.perSecond)).toFixed(0)}/s bare`,
        ratio: throughput,
        goal: '≥ 0.85',
        met: throughput >= 0.85,
      },
      {
        measure: 'P1 admission, 99th percentile',
        ours: `${median(ours.map((each) => each.p99Ms)).toFixed(1)} ms`,
        beside: `${median(theirs.map((each) => each.p99Ms)).toFixed(1)} ms bare`,
        ratio: p99,
        goal: '≤ 2',
        met: p99 <= 2,
      },
      // The load needs a core of its own, so throughput may be its limit; what a review costs the server is not.
      {
        measure: 'P1 admission, CPU of a review',
        ours: `${median(ours.map((each) => each.cpuMicroseconds)).toFixed(0)} µs`,
        beside: `${median(theirs.map((each) => each.cpuMicroseconds)).toFixed(0)} µs bare`,
        ratio: cpu,
        goal: '≤ 1.18',
        met: cpu <= 1 / 0.85,
      },
      { measure: 'P2 webhook, cold start to ready', ours: `${coldStart.toFixed(0)} ms`, beside: '', ratio: undefined, goal: '≤ 350 ms', met: coldStart <= 350 },
      { measure: 'P2 webhook, memory at rest', ours: `${atRest.toFixed(0)} MB`, beside: '', ratio: undefined, goal: '≤ 90 MB', met: atRest <= 90 },
      {
        measure: 'P2 webhook, memory after P1',
        ours: `${rss.ours.toFixed(0)} MB`,
        beside: `${rss.bare.toFixed(0)} MB bare`,
        ratio: rss.ours / rss.bare,
        goal: '≤ 1.4',
        met: rss.ours / rss.bare <= 1.4,
      },
    ];
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Round {
  perSecond: number;
  p99Ms: number;
  cpuMicroseconds: number;
}

/** Median over the rounds of ours by theirs: rounds alternate, so that the machine's moods meet both. */
function ratio(ours: readonly Round[], theirs: readonly Round[], key: keyof Round): number {
  return median(ours.map((round, index) => round[key] / theirs[index]![key]));
}

/** A review of a profile, some 2 KB as the API server sends it. */
function review(): object {
  const profile = {
    apiVersion: 'kollect.dev/v1alpha1',
    kind: 'KollectProfile',
    metadata: { name: 'deployments', namespace: 'default', uid: '0d9a4c1f-52cd-4a0e-8a53-8b7e1a907b02', generation: 1, annotations: { note: 'x'.repeat(300) } },
    spec: {
      targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' },
      attributes: [
        { name: 'image', path: '$.spec.template.spec.containers[0].image' },
        { name: 'images', path: '$.spec.template.spec.containers[*].image' },
        { name: 'replicas', path: '$.spec.replicas', type: 'int' },
        { name: 'tier', path: '$.metadata.labels.tier', optional: true },
        { name: 'available', path: 'cel:has(object.status.availableReplicas) ? object.status.availableReplicas : 0' },
      ],
    },
  };
  const kind = { group: 'kollect.dev', version: 'v1alpha1', kind: 'KollectProfile' };
  const resource = { group: 'kollect.dev', version: 'v1alpha1', resource: 'kollectprofiles' };
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '7d1c0a3e-0001-4c53-9d57-6f1f2f6f0a01',
      kind,
      resource,
      requestKind: kind,
      requestResource: resource,
      name: 'deployments',
      namespace: 'default',
      operation: 'CREATE',
      userInfo: { username: 'admin', uid: 'admin', groups: ['system:masters', 'system:authenticated'] },
      object: profile,
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'kubectl-client-side-apply', fieldValidation: 'Strict' },
    },
  };
}
