import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Cluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';

const folder = join(import.meta.dirname, '..', '..', 'manifests', 'webhook');

const Configuration = z.looseObject({
  webhooks: z.array(z.looseObject({ name: z.string(), clientConfig: z.object({ service: z.object({ path: z.string() }).loose() }) })),
});

/**
 * The shipped webhook configurations, calling a process at `url` that serves with a certificate of `caPem`, instead of a Service that
 * resolves only inside a cluster.
 *
 * @example registrationFor({ url: 'https://127.0.0.1:19443', caPem })
 */
export function registrationFor(webhook: { url: string; caPem: string }): object[] {
  const caBundle = Buffer.from(webhook.caPem).toString('base64');
  return ['mutating.yaml', 'validating.yaml'].map((file) => {
    const configuration = Configuration.parse(parse(readFileSync(join(folder, file), 'utf8')));
    const webhooks = configuration.webhooks.map((entry) => ({ ...entry, clientConfig: { url: `${webhook.url}${entry.clientConfig.service.path}`, caBundle } }));
    return { ...configuration, webhooks };
  });
}

/** Registers the webhook and resolves once the API server calls it: it takes a moment to notice, and admits everything until then. */
export async function registerWebhook(cluster: Cluster, webhook: { url: string; caPem: string }): Promise<void> {
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: registrationFor(webhook) });
  const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], { stdin: list });
  if (code !== 0) throw new Error(`the webhook could not be registered: ${stderr}`);
  await eventually(() => isCalled(cluster), { what: 'the first calls of the webhook', intervalMs: 100 });
}

/** Passes the schema and both webhooks; never stored. */
const probe = {
  apiVersion: 'kollect.dev/v1alpha1',
  kind: 'KollectDatabaseSink',
  metadata: { name: 'registration-probe', namespace: 'default' },
  spec: { type: 'postgres', cluster: 'probe', postgres: { databaseRef: { name: 'probe' }, table: 'probe' } },
};

async function isCalled(cluster: Cluster): Promise<boolean> {
  const { code, stderr } = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: JSON.stringify(probe) });
  if (code !== 0) throw new Error(stderr);
  const { stdout } = await cluster.kubectl(['get', '--raw', '/metrics']);
  const calls = stdout.split('\n').filter((line) => line.startsWith('apiserver_admission_webhook_request_total{'));
  return ['mkollectdatabasesink.kb.io', 'vkollectdatabasesink.kb.io'].every((name) => calls.some((line) => line.includes(`name="${name}"`)));
}
