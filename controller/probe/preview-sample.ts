import { hash } from 'node:crypto';
import { canonicalRow } from '../../shared/extract/canonical-json.ts';
import type { LaidOutSpec } from '../../shared/layout/layout.ts';
import type { ExportRow, PreviewSample } from '../sinks/contract.ts';

const [namespace, inventory, targetName] = ['team-a', 'api', 'deployments'];
const names = ['api', 'web', 'cache', 'worker'];
const itemCount = 42;
const digest = 'a1b2c3d4e5f6'.padEnd(64, '0');
/** The same each time, so that a preview changes with its sink only. */
const exportedAt = '2026-01-15T12:00:00.000Z';

/** An inventory of 42 Deployments, of which there are four. They are whole objects where the sink writes manifests. */
export function previewSample(sink: string, { cluster, layout }: LaidOutSpec & { cluster?: string | undefined }): PreviewSample {
  return {
    identity: { namespace, name: inventory, cluster: cluster?.trim() ?? '', generation: 1 },
    rows: names.map((name, index) => sampleRow(name, index, layout?.content === 'manifest')),
    after: { rows: itemCount, digest },
    exportedAt: new Date(exportedAt),
    sink,
  };
}

function sampleRow(name: string, index: number, isWhole: boolean): ExportRow {
  const uid = `00000000-0000-4000-8000-00000000000${index + 1}`;
  const attributes = isWhole ? { resource: { apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 2 } } } : { image: `registry.example.com/${name}:1.2.3`, replicas: 2 };
  const payload = canonicalRow({ targetNamespace: namespace, targetName, namespace, name, group: 'apps', version: 'v1', kind: 'Deployment', uid, attributes });
  return { targetName, targetNamespace: namespace, namespace, name, uid, payload, hash: hash('sha256', payload, 'binary') };
}
