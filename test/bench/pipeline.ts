import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { startKollect, type Kollect } from '../behaviour/harness.ts';
import { pipeline } from '../behaviour/objects.ts';
import { BareClient, benchAttributes } from './deployments.ts';
import { bareCopyAndMerge } from './bare-copy.ts';
import { median, percentile, type Figure } from './figures.ts';
import { processFigures } from './process-figures.ts';

const changesASize = 60;
const namespace = 'bench';

interface SizeResult {
  rows: number;
  collection: { wallSeconds: number; cpuSeconds: number };
  bare: { wallSeconds: number; cpuSeconds: number };
  exportMs: number;
  bareExportMs: number;
  rssMb: number;
  heapMb: number;
  longestBlockMs: number;
  change: { medianMs: number; p99Ms: number; cpuMs: number; commitMs: number; written: number };
}

/**
 * P3, P4, P6 and P7: the whole pipeline at growing numbers of Deployments, each size with a controller of its own, beside a process that only
 * lists and parses, and beside a bare COPY and merge.
 */
export async function benchPipeline(sizes: readonly number[], report: (line: string) => void): Promise<Figure[]> {
  const kollect = await startKollect({
    startController: false,
    cluster: {
      controllerManager: false,
      etcdFlags: ['--quota-backend-bytes=8589934592', '--unsafe-no-fsync'],
      apiserverFlags: ['--max-requests-inflight=3000', '--max-mutating-requests-inflight=1000'],
    },
  });
  const api = new BareClient(kollect.cluster);
  try {
    await kollect.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    const results: SizeResult[] = [];
    for (const rows of sizes) {
      report(`creating Deployments up to ${rows}`);
      await api.createDeployments(namespace, results.at(-1)?.rows ?? 0, rows, (done) => report(`  ${done} created`));
      results.push(await measure(kollect, api, rows, report));
    }
    return figuresOf(results);
  } finally {
    await api.close();
    await kollect.stop();
  }
}

async function measure(kollect: Kollect, api: BareClient, rows: number, report: (line: string) => void): Promise<SizeResult> {
  await kollect.psql('DROP TABLE IF EXISTS inventory_items');
  await kollect.apply(pipeline({ namespace, dsn: kollect.dsn, attributes: benchAttributes }));
  const { cluster } = kollect;
  const bareList = [join(import.meta.dirname, 'bare-list-process.ts'), cluster.url, cluster.caFile, cluster.adminToken];
  const bare = JSON.parse((await promisify(execFile)(process.execPath, bareList)).stdout) as SizeResult['bare'];

  const since = performance.now();
  await kollect.controller.start();
  // The longest block is counted from scrape to scrape; loading the program is none of collection's.
  await scrape(kollect);
  const pid = kollect.controller.pid();
  const synced = async (): Promise<boolean> => {
    const target = await kollect.get<{ status?: { conditions?: { type: string; status: string; lastTransitionTime: string }[] } }>('ktgt', 'web', namespace);
    const condition = target?.status?.conditions?.find(({ type }) => type === 'Synced');
    return condition?.status === 'True' && Date.parse(condition.lastTransitionTime) >= Date.now() - (performance.now() - since) - 1_000;
  };
  await kollect.eventually(synced, { timeoutMs: 600_000, intervalMs: 100, what: 'a synced target' });
  const collection = { wallSeconds: (performance.now() - since) / 1000, cpuSeconds: processFigures(pid).cpuSeconds };
  await kollect.eventually(async () => (await counted(kollect)) === rows, { timeoutMs: 600_000, what: `${rows} rows` });
  const exported = await kollect.eventually(() => kollect.controller.logEntries().find(({ msg, mode, rows: held }) => msg === 'exported' && mode === 'reconcile' && held === rows));
  const exportMs = Number(exported['ms']);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const metrics = await scrape(kollect);
  const { rssMb } = processFigures(pid);
  report(`  ${rows} rows: collected in ${collection.wallSeconds.toFixed(1)} s, exported in ${exportMs} ms, ${rssMb.toFixed(0)} MB, longest block ${((metrics.get('nodejs_eventloop_lag_max_seconds') ?? 0) * 1000).toFixed(0)} ms`);

  const client = new pg.Client(kollect.dsn);
  await client.connect();
  const bareExportMs = await bareCopyAndMerge(client, 'inventory_items');
  await client.end();
  const change = await measureChanges(kollect, api, rows, pid);
  report(`  one change: ${change.medianMs.toFixed(0)} ms median, ${change.p99Ms.toFixed(0)} ms p99`);
  await kollect.controller.kill('SIGTERM');
  return {
    rows,
    collection,
    bare,
    exportMs,
    bareExportMs,
    rssMb,
    heapMb: (metrics.get('nodejs_heap_size_used_bytes') ?? 0) / 1e6,
    longestBlockMs: (metrics.get('nodejs_eventloop_lag_max_seconds') ?? 0) * 1000,
    change,
  };
}

/** Scales one Deployment at a time, from the request to the row that a client of the database sees. */
async function measureChanges(kollect: Kollect, api: BareClient, rows: number, pid: number): Promise<SizeResult['change']> {
  const before = await scrape(kollect);
  const cpuBefore = processFigures(pid).cpuSeconds;
  const times: number[] = [];
  for (let number = 0; number < changesASize; number++) {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/d${(number * 7_919) % rows}`;
    // Another number at each size: a patch that changes nothing is no event.
    const replicas = rows + number;
    const since = performance.now();
    const { metadata } = JSON.parse(await api.request('PATCH', path, { spec: { replicas } }, 'application/merge-patch+json')) as { metadata: { uid: string } };
    await kollect.eventually(
      async () => {
        const [row] = await kollect.psql<{ replicas: number }>("SELECT (payload->'attributes'->>'replicas')::int AS replicas FROM inventory_items WHERE source_uid = $1", [metadata.uid]);
        return row?.replicas === replicas;
      },
      { intervalMs: 2 },
    );
    times.push(performance.now() - since);
  }
  const after = await scrape(kollect);
  const rise = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  return {
    medianMs: median(times),
    p99Ms: percentile(times, 0.99),
    cpuMs: ((processFigures(pid).cpuSeconds - cpuBefore) / changesASize) * 1000,
    commitMs: (rise('kollect_export_commit_lag_seconds_sum') / rise('kollect_export_commit_lag_seconds_count')) * 1000,
    written: rise('kollect_export_rows_total{sink_type="postgres",operation="written"}') / changesASize,
  };
}

async function counted(kollect: Kollect): Promise<number> {
  const rows = await kollect.psql<{ n: number }>('SELECT count(*)::int AS n FROM inventory_items').catch(() => []);
  return rows[0]?.n ?? 0;
}

async function scrape(kollect: Kollect): Promise<Map<string, number>> {
  const text = await (await fetch(kollect.controller.metricsUrl)).text();
  return new Map(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

function figuresOf(results: readonly SizeResult[]): Figure[] {
  const smallest = results[0]!;
  const largest = results.at(-1)!;
  const { rows, collection, bare, change } = largest;
  const cpu = collection.cpuSeconds / bare.cpuSeconds;
  const wall = collection.wallSeconds / bare.wallSeconds;
  const perRow = ((largest.heapMb - smallest.heapMb) * 1e6) / (rows - smallest.rows);
  const growth = change.commitMs / smallest.change.commitMs;
  const cpuGrowth = change.cpuMs / smallest.change.cpuMs;
  const exporting = largest.bareExportMs / largest.exportMs;
  return [
    { measure: `P3 list, extract and store ${rows}: CPU`, ours: `${collection.cpuSeconds.toFixed(2)} s with start`, beside: `${bare.cpuSeconds.toFixed(2)} s list and parse`, ratio: cpu, goal: '≤ 2', met: cpu <= 2 },
    { measure: `P3 list, extract and store ${rows}: wall`, ours: `${collection.wallSeconds.toFixed(2)} s with start`, beside: `${bare.wallSeconds.toFixed(2)} s`, ratio: wall, goal: '≤ 1.3', met: wall <= 1.3 },
    { measure: 'P3 longest block of the event loop', ours: `${largest.longestBlockMs.toFixed(0)} ms`, beside: '', ratio: undefined, goal: '≤ 50 ms', met: largest.longestBlockMs <= 50 },
    { measure: `P4 memory with ${rows} rows`, ours: `${largest.rssMb.toFixed(0)} MB`, beside: '', ratio: undefined, goal: '≤ 400 MB at 100,000', met: largest.rssMb <= 400 },
    { measure: 'P4 heap of a further row', ours: rows > smallest.rows ? `${perRow.toFixed(0)} B` : '', beside: '', ratio: undefined, goal: '≤ 1 KB', met: rows > smallest.rows ? perRow <= 1_024 : undefined },
    ...results.map((result) => ({
      measure: `P6 one change in ${result.rows} rows, request to row`,
      ours: `${result.change.medianMs.toFixed(0)} ms, p99 ${result.change.p99Ms.toFixed(0)} ms`,
      beside: `watch to commit ${result.change.commitMs.toFixed(1)} ms, ${result.change.cpuMs.toFixed(1)} ms CPU`,
      ratio: result.change.written,
      goal: '1 row written, p99 ≤ 250 ms',
      met: result.change.written === 1 && result.change.p99Ms <= 250,
    })),
    { measure: `P6 watch to commit, ${rows} rows beside ${smallest.rows}`, ours: `${change.commitMs.toFixed(1)} ms`, beside: `${smallest.change.commitMs.toFixed(1)} ms`, ratio: growth, goal: '≤ 1.5', met: growth <= 1.5 },
    { measure: `P6 CPU of a change, ${rows} rows beside ${smallest.rows}`, ours: `${change.cpuMs.toFixed(1)} ms`, beside: `${smallest.change.cpuMs.toFixed(1)} ms`, ratio: cpuGrowth, goal: '≤ 1.5', met: cpuGrowth <= 1.5 },
    { measure: `P7 first export of ${rows} rows, rate`, ours: `${largest.exportMs.toFixed(0)} ms`, beside: `${largest.bareExportMs.toFixed(0)} ms bare COPY and merge`, ratio: exporting, goal: '≥ 0.8', met: exporting >= 0.8 },
  ];
}
