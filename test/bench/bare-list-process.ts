// Lists all Deployments in a process of its own and prints what that cost: what collection is measured against.
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { BareClient } from './bare-client.ts';

const [url = '', caFile = '', adminToken = ''] = process.argv.slice(2);
const client = new BareClient({ url, adminToken, caPem: readFileSync(caFile, 'utf8') });
// As the controller's metrics measure it.
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
const before = process.cpuUsage();
const since = performance.now();
const { objects, bytes } = await client.listAll('/apis/apps/v1/deployments');
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ objects, bytes, wallSeconds: (performance.now() - since) / 1000, cpuSeconds: (user + system) / 1e6, blockMs: delay.max / 1e6 }));
await client.close();
