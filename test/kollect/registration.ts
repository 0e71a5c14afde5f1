import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { eventually } from '../servers/eventually.ts';
import type { Kubectl } from '../servers/kubernetes/kubectl.ts';

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
  return ['mutating.yaml', 'early-validation.yaml', 'validating.yaml'].map((file) => {
    const configuration = Configuration.parse(parse(readFileSync(join(folder, file), 'utf8')));
    const webhooks = configuration.webhooks.map((entry) => ({ ...entry, clientConfig: { url: `${webhook.url}${entry.clientConfig.service.path}`, caBundle } }));
    return { ...configuration, webhooks };
  });
}

/** Registers the webhook and resolves once the API server calls it: it takes a moment to notice, and admits everything until then. */
export async function registerWebhook(kubectl: Kubectl, webhook: { url: string; caPem: string }): Promise<void> {
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: registrationFor(webhook) });
  const { code, stderr } = await kubectl(['apply', '-f', '-'], { stdin: list });
  if (code !== 0) throw new Error(`the webhook could not be registered: ${stderr}`);
  await eventually(() => isCalled(kubectl), { what: 'the first calls of the webhook', intervalMs: 100 });
}

/** Whether the API server calls all three. Rejects when it calls them and gets no answer. */
export async function isCalled(kubectl: Kubectl, namespace = 'default'): Promise<boolean> {
  const dryRun = (spec: object) => kubectl(['create', '--dry-run=server', '--output=json', '-f', '-'], { stdin: JSON.stringify(probe(namespace, spec)) });
  // The schema takes any reference and refuses the unit of days: only the webhooks fill in the interval and judge the name, and what they say
  // of the name beside the day is said early.
  const [filled, refused, refusedEarly] = await Promise.all([dryRun({ databaseSinkRefs: ['probe'] }), dryRun({ databaseSinkRefs: ['not/a/name'] }), dryRun({ databaseSinkRefs: ['not/a/name'], exportMinInterval: '1d' })]);
  if (filled.code !== 0) throw new Error(filled.stderr.trim());
  const { spec } = JSON.parse(filled.stdout) as { spec: { exportMinInterval?: string } };
  return spec.exportMinInterval !== undefined && refused.code !== 0 && refusedEarly.stderr.includes('not/a/name');
}

/** Never stored. */
function probe(namespace: string, spec: object): object {
  return { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name: 'registration-probe', namespace }, spec };
}
