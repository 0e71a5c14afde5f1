import { gvkKey, gvkText } from '../../api/gvk.ts';
import type { LooseGvk } from '../../api/gvk.ts';
import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownProfile, KnownScope } from '../lookups.ts';
import type { Loose } from '../rule.ts';
import { bounding, titled } from './known-scope.ts';
import { denied } from './state-rule.ts';

/** The kinds of a target have to be among those of its scope: those of its rules, and that of its profile, which is what is watched. */
export function scopeGvks(resourceRules: Loose<KollectTargetSpec['resourceRules']>, profile: KnownProfile | undefined, scope: KnownScope | KnownClusterScope | undefined, report: Report): void {
  const allowed = scope && bounding(scope.spec.allowedGVKs);
  if (scope === undefined || allowed === undefined) return;
  const keys = new Set(allowed.map(gvkKey));
  const judge = (field: string, gvk: LooseGvk | undefined): void => {
    if (gvk?.kind === undefined || keys.has(gvkKey(gvk))) return;
    report(denied(field, `${gvkText(gvk)} is not among the allowedGVKs of ${titled(scope)}: ${allowed.slice(0, 10).map(gvkText).join(', ')}; collect one of these, or ask its owner to add the kind`));
  };
  for (const [index, rule] of (resourceRules ?? []).entries()) judge(`spec.resourceRules[${index}].gvk`, rule?.gvk);
  judge('spec.profileRef', profile?.spec.targetGVK);
}
