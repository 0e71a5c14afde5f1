// Lists all Deployments in a process of its own and prints what that cost: what collection is measured against.
import { readFileSync } from 'node:fs';
import type { Cluster } from '../servers/cluster.ts';
import { BareClient } from './deployments.ts';

const [url = '', caFile = '', adminToken = ''] = process.argv.slice(2);
const client = new BareClient({ url, adminToken, caPem: readFileSync(caFile, 'utf8') } as Cluster);
const before = process.cpuUsage();
const since = performance.now();
const { objects, bytes } = await client.listAll('/apis/apps/v1/deployments');
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ objects, bytes, wallSeconds: (performance.now() - since) / 1000, cpuSeconds: (user + system) / 1e6 }));
await client.close();
