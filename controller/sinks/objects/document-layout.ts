import type { LaidOutSpec } from '../../../shared/layout/layout.ts';

/** Where a sink says nothing of its layout, an inventory is a document, whatever its rows are. */
export function documentLayout<Spec extends LaidOutSpec>(spec: Spec): Spec {
  return spec.layout?.mode === undefined ? { ...spec, layout: { ...spec.layout, mode: 'document' } } : spec;
}
