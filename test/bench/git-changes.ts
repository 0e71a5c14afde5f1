import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { ExportRow, SinkChange } from '../../controller/sinks/contract.ts';
import { treeFile } from '../../controller/sinks/documents/tree-file.ts';
import { slicesOf } from '../../controller/sinks/documents/snapshot.ts';
import { canonicalRow } from '../../shared/extract/canonical-json.ts';
import { startGit, type Git, type GitRepository } from '../servers/git/index.ts';
import { openGit } from '../sinks/git-place.ts';
import { median, ratioOf, type Figure } from './figures.ts';
import { PlainGit } from './plain-git.ts';
import type { Scale } from './scale.ts';

const waiting = 50;
const spec = { layout: { mode: 'perResource' } } as const;
const { signal } = new AbortController();

/**
 * P10: a tree with a file for each row, all in one folder, which is the hardest for git, and one row that changes; beside the commands of git that a person would
 * write that change with, over HTTP to the same server. Then inventories that wait for one branch.
 */
export async function benchGit({ rows, rounds }: Scale, report: (line: string) => void): Promise<Figure[]> {
  const git = await startGit({ report });
  const folder = mkdtempSync(join(tmpdir(), 'kollect-bench-git-'));
  process.env['KOLLECT_GIT_MIRROR_DIR'] = join(folder, 'mirrors');
  try {
    const figures: Figure[] = [];
    for (const size of [...[1_000, 10_000, 100_000].filter((smaller) => smaller < rows), rows]) figures.push(...(await benchTree(git, { size, rounds, folder: join(folder, String(size)) }, report)));
    return [...figures, await benchGroup(git)];
  } finally {
    await git.stop();
    rmSync(folder, { recursive: true, force: true });
    delete process.env['KOLLECT_GIT_MIRROR_DIR'];
  }
}

async function benchTree(git: Git, { size, rounds, folder }: { size: number; rounds: number; folder: string }, report: (line: string) => void): Promise<Figure[]> {
  const rows = Array.from({ length: size }, (_, index) => rowOf(index, 0));
  const repository = await git.createRepository();
  const { sink } = await openGit(git, repository, 'http', { spec, installation: 'bench' });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const before = process.memoryUsage().rss;
  delay.enable();
  const firstMs = await elapsed(() => sink.write(change(rows), signal));
  delay.disable();
  const [blockMs, grownMb] = [delay.max / 1e6, (process.memoryUsage().rss - before) / 1024 / 1024];
  report(`P10 ${size} files in ${(firstMs / 1_000).toFixed(1)} s, longest block ${blockMs.toFixed(0)} ms`);
  const plain = await PlainGit.clone(await copyOf(git, repository), folder, git);
  const [ours, others]: [number[], number[]] = [[], []];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const changed = (rows[round] = rowOf(round, round + 1));
    const content = Buffer.from(treeFile(changed.payload, 'item', { format: 'yaml', compression: 'none' })!).toString();
    ours[round] = await elapsed(() => sink.write({ ...change(rows), since: { upserts: [changed], deletes: [] } }, signal));
    others[round] = await elapsed(() => plain.write(`default/shop/deployment/${changed.name}.yaml`, content));
  }
  await sink.close();
  const [mine, theirs] = [ours.slice(1), others.slice(1)];
  const ratios = ratioOf(mine, theirs);
  return [
    { measure: `P10 first export of ${size} files of one folder`, ours: `${(firstMs / 1_000).toFixed(1)} s`, beside: `${Math.max(0, grownMb).toFixed(0)} MB more, longest block ${blockMs.toFixed(0)} ms`, goal: 'no block above 50 ms', met: blockMs <= 50 },
    { measure: `P10 one changed of ${size} files`, ours: `${median(mine).toFixed(0)} ms`, beside: `${median(theirs).toFixed(0)} ms by plain git`, ...ratios, goal: '≤ 1.5 at 10,000', met: size === 10_000 ? ratios.ratio <= 1.5 : undefined },
  ];
}

async function benchGroup(git: Git): Promise<Figure> {
  const repository = await git.createRepository();
  const { sink } = await openGit(git, repository, 'http', { spec, installation: 'bench' });
  const writeOne = (index: number): Promise<unknown> => sink.write(change([rowOf(index, 0)], `inventory-${index}`), signal);
  await writeOne(waiting);
  const before = repository.pushes();
  const ms = await elapsed(() => Promise.all(Array.from({ length: waiting }, (_, index) => writeOne(index))));
  const pushes = repository.pushes() - before;
  await sink.close();
  return { measure: `P10 ${waiting} inventories that wait for one branch`, ours: `${pushes} ${pushes === 1 ? 'push' : 'pushes'}`, beside: `${ms.toFixed(0)} ms`, goal: '1 push', met: pushes === 1 };
}

/** Another repository with the same branch. */
async function copyOf(git: Git, { folder }: GitRepository): Promise<GitRepository> {
  const copy = await git.createRepository();
  await copy.git('fetch', '--quiet', folder, 'main:main');
  return copy;
}

function rowOf(index: number, version: number): ExportRow {
  const [name, uid] = [`app-${String(index).padStart(7, '0')}`, `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`];
  const of = { targetNamespace: 'bench', targetName: 'web', namespace: 'shop', name, uid };
  const attributes = { image: `registry.example.com/shop/app-${index}:1.${version}`, replicas: 3, strategy: 'RollingUpdate', labels: { app: name, tier: 'web' } };
  const payload = canonicalRow({ ...of, group: 'apps', version: 'v1', kind: 'Deployment', attributes });
  return { ...of, payload, hash: createHash('sha256').update(payload).digest().toString('latin1') };
}

function change(rows: readonly ExportRow[], name = 'inventory'): SinkChange {
  const identity = { namespace: 'bench', name, cluster: '', generation: 1 };
  return { identity, upserts: slicesOf(rows), upsertCount: rows.length, deletes: [], completeTargets: ['web'], knownTargets: ['web'], keep: [], after: { rows: rows.length, digest: 'bench' } };
}

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work();
  return performance.now() - since;
}
