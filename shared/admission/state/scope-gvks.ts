import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownProfile, KnownScope } from '../lookups.ts';
import type { Loose } from '../rule.ts';
import { bounding, titled } from './known-scope.ts';
import { denied } from './state-rule.ts';

type Gvk = { readonly group?: string | undefined; readonly version?: string | undefined; readonly kind?: string | undefined };

/** The kinds of a target have to be among those of its scope: those of its rules, and that of its profile, which is what is watched. */
export function scopeGvks(resourceRules: Loose<KollectTargetSpec['resourceRules']>, profile: KnownProfile | undefined, scope: KnownScope | KnownClusterScope | undefined, report: Report): void {
  const allowed = scope && bounding(scope.spec.allowedGVKs);
  if (scope === undefined || allowed === undefined) return;
  const judge = (field: string, gvk: Gvk | undefined): void => {
    if (gvk?.kind === undefined || allowed.some((other) => isSameGvk(gvk, other))) return;
    report(denied(field, `${gvkText(gvk)} is not among the allowedGVKs of ${titled(scope)}: ${allowed.slice(0, 10).map(gvkText).join(', ')}; collect one of these, or ask its owner to add the kind`));
  };
  for (const [index, rule] of (resourceRules ?? []).entries()) judge(`spec.resourceRules[${index}].gvk`, rule?.gvk);
  judge('spec.profileRef', profile?.spec.targetGVK);
}

/** Letter case does not count, and the core group has two spellings. */
export function isSameGvk(a: Gvk, b: Gvk): boolean {
  return groupOf(a) === groupOf(b) && a.version?.toLowerCase() === b.version?.toLowerCase() && a.kind?.toLowerCase() === b.kind?.toLowerCase();
}

/** `apps/v1 Deployment`, as people write it. */
export function gvkText(gvk: Gvk): string {
  const group = groupOf(gvk);
  return `${group === '' ? '' : `${group}/`}${gvk.version ?? ''} ${gvk.kind ?? ''}`;
}

function groupOf({ group = '' }: Gvk): string {
  const lower = group.toLowerCase();
  return lower === 'core' ? '' : lower;
}
