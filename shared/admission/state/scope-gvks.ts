import { gvkKey, gvkText } from '../../api/gvk.ts';
import type { LooseGvk } from '../../api/gvk.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownScope } from '../lookups.ts';
import { bounding, titled } from './known-scope.ts';
import { denied } from './state-rule.ts';
import type { BoundInput } from './state-rule.ts';
import { profileOf } from './target-profile.ts';
import type { AnyTargetSpec } from './target-profile.ts';

/** The kinds of a target have to be among those of its scope: those of its rules, or else that of its profile. */
export function scopeGvks(target: BoundInput<AnyTargetSpec>, scope: KnownScope | KnownClusterScope | undefined, report: Report): void {
  if (scope === undefined) return;
  const denies = kindDenials(scope);
  const judge = (field: string, gvk: LooseGvk | undefined): void => {
    const message = gvk && denies(gvk);
    if (message !== undefined) report(denied(field, message));
  };
  const rules = target.spec.resourceRules ?? [];
  for (const [index, rule] of rules.entries()) judge(`spec.resourceRules[${index}].gvk`, rule?.gvk);
  if (rules.length === 0) judge('spec.profileRef', profileOf(target)?.spec.targetGVK);
}

/** Tells why kinds are beyond a scope; undefined for those that are not. */
export function kindDenials(scope: KnownScope | KnownClusterScope): (gvk: LooseGvk) => string | undefined {
  const allowed = bounding(scope.spec.allowedGVKs);
  if (allowed === undefined) return () => undefined;
  const keys = new Set(allowed.map(gvkKey));
  return (gvk) =>
    gvk.kind === undefined || keys.has(gvkKey(gvk))
      ? undefined
      : `${gvkText(gvk)} is not among the allowedGVKs of ${titled(scope)}: ${allowed.slice(0, 10).map(gvkText).join(', ')}; collect one of these, or ask its owner to add the kind`;
}
