import { documentPath } from '../../../shared/layout/document-path.ts';
import { effectiveLayout, layoutOf, type LaidOutSpec } from '../../../shared/layout/layout.ts';
import type { BackendPreview, PreviewSample } from '../contract.ts';
import type { FileStore } from './file-store.ts';
import { InventoryFiles } from './inventory-files.ts';

const maxPaths = 3;
const nowhere: FileStore = { read: async () => undefined, async *readAll() {}, list: async () => [] };

/** The files that the sample becomes where there is none yet. */
export async function previewFiles(spec: LaidOutSpec, sample: PreviewSample): Promise<Required<Pick<BackendPreview, 'objectPath' | 'layout' | 'warnings'>>> {
  const { identity, rows, after, exportedAt } = sample;
  const layout = layoutOf(spec);
  const targets = [...new Set(rows.map(({ targetName }) => targetName))];
  const change = { identity, upserts: [rows], upsertCount: rows.length, deletes: [], completeTargets: targets, keep: [], knownTargets: targets, after };
  const files = new InventoryFiles(spec, undefined);
  const [mode, paths, warnings] = await files.write({ change, store: nowhere, heldRows: undefined, exportedAt }, async (plan) => {
    const ofRows = new Map<string, string>();
    for await (const { path, row } of plan.files) if (row) ofRows.set(row.uid, path);
    return [plan.mode, rows.flatMap(({ uid }) => ofRows.get(uid) ?? []), plan.rejected.map(({ namespace, key, message }) => `Deployment ${namespace}/${nameOf(sample, key.uid)}: ${message}`)] as const;
  });
  const objectPath = documentPath(layout.document, layout.extension, identity);
  return {
    objectPath,
    layout: { mode, content: effectiveLayout(layout, false).content, prune: true, samplePaths: (paths.length > 0 ? paths : [objectPath]).slice(0, maxPaths) },
    warnings: [...warnings, ...(layout.mode === undefined ? ['spec.layout.mode is not set: an inventory whose rows are whole objects becomes a tree of manifests, one file for each'] : [])],
  };
}

function nameOf({ rows }: PreviewSample, uid: string): string {
  return rows.find((row) => row.uid === uid)?.name ?? uid;
}
