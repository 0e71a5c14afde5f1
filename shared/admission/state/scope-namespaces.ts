import { warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownScope } from '../lookups.ts';
import { bounding, someOf, titled } from './known-scope.ts';
import { denied } from './state-rule.ts';

/** Namespaces that a target names have to be allowed by its scope. What a selector finds is judged while collecting. */
export function scopeNamespaces(included: readonly (string | undefined)[] | undefined, scope: KnownScope | KnownClusterScope | undefined, report: Report): void {
  if (scope === undefined) return;
  const refusal = refusals(scope);
  for (const [index, entry] of (included ?? []).entries()) {
    const problem = entry === undefined ? undefined : refusal(entry.trim());
    if (problem !== undefined) report(denied(`spec.includedNamespaces[${index}]`, `${problem}; remove the namespace, or ask the owner of the scope to allow it`));
  }
}

/** A target that selects nothing collects from its own namespace, silently nothing where the scope does not allow that. */
export function ownNamespaceAllowed(namespace: string, scope: KnownScope | undefined, report: Report): void {
  const problem = scope && refusals(scope)(namespace);
  if (problem !== undefined) report(warning('spec.includedNamespaces', `without it the target collects from its own namespace, where it collects nothing: ${problem}`));
}

/** Tells whether a scope lets objects of a namespace be collected. */
export function allowedNamespaces(scope: KnownScope | KnownClusterScope): (namespace: string) => boolean {
  const refusal = refusals(scope);
  return (namespace) => refusal(namespace) === undefined;
}

/** Tells why a scope does not let objects of a namespace be collected. */
function refusals(scope: KnownScope | KnownClusterScope): (namespace: string) => string | undefined {
  const allowed = bounding(scope.spec.allowedNamespaces);
  const [isAllowed, isDenied] = [new Set(allowed), new Set(scope.spec.deniedNamespaces)];
  const others = allowed && someOf(allowed);
  return (namespace) => {
    if (isDenied.has(namespace)) return `${JSON.stringify(namespace)} is among the deniedNamespaces of ${titled(scope)}`;
    if (allowed === undefined || isAllowed.has(namespace)) return undefined;
    return `${JSON.stringify(namespace)} is not among the allowedNamespaces of ${titled(scope)}: ${others}`;
  };
}
