import { gvkKey, gvkText } from '../../api/gvk.ts';
import type { LooseGvk } from '../../api/gvk.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownScope } from '../lookups.ts';
import { bounding, titled } from './known-scope.ts';
import { denied } from './state-rule.ts';
import type { BoundInput } from './state-rule.ts';
import { profileOf } from './target-profile.ts';
import type { AnyTargetSpec } from './target-profile.ts';

/** The kinds of a target have to be among those of its scope: those of its rules, and that of its profile, which is what is watched. */
export function scopeGvks(target: BoundInput<AnyTargetSpec>, scope: KnownScope | KnownClusterScope | undefined, report: Report): void {
  const allowed = scope && bounding(scope.spec.allowedGVKs);
  if (scope === undefined || allowed === undefined) return;
  const keys = new Set(allowed.map(gvkKey));
  const judge = (field: string, gvk: LooseGvk | undefined): void => {
    if (gvk?.kind === undefined || keys.has(gvkKey(gvk))) return;
    report(denied(field, `${gvkText(gvk)} is not among the allowedGVKs of ${titled(scope)}: ${allowed.slice(0, 10).map(gvkText).join(', ')}; collect one of these, or ask its owner to add the kind`));
  };
  for (const [index, rule] of (target.spec.resourceRules ?? []).entries()) judge(`spec.resourceRules[${index}].gvk`, rule?.gvk);
  judge('spec.profileRef', profileOf(target)?.spec.targetGVK);
}
