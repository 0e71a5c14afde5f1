import { warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownScope } from '../lookups.ts';
import { bounding, someOf, titled } from './known-scope.ts';
import { denied } from './state-rule.ts';

/** Namespaces that a target names have to be allowed by its scope. What a selector finds is judged while collecting. */
export function scopeNamespaces(included: readonly (string | undefined)[] | undefined, scope: KnownScope | KnownClusterScope | undefined, report: Report): void {
  if (scope === undefined) return;
  for (const [index, entry] of (included ?? []).entries()) {
    const problem = entry === undefined ? undefined : refusal(entry.trim(), scope);
    if (problem !== undefined) report(denied(`spec.includedNamespaces[${index}]`, `${problem}; remove the namespace, or ask the owner of the scope to allow it`));
  }
}

/** A target that selects nothing collects from its own namespace, silently nothing where the scope does not allow that. */
export function ownNamespaceAllowed(namespace: string, scope: KnownScope | undefined, report: Report): void {
  const problem = scope && refusal(namespace, scope);
  if (problem !== undefined) report(warning('spec.includedNamespaces', `without it the target collects from its own namespace, where it collects nothing: ${problem}`));
}

/** Whether a scope lets objects of a namespace be collected. */
export function allowsNamespace({ spec }: KnownScope | KnownClusterScope, namespace: string): boolean {
  const allowed = bounding(spec.allowedNamespaces);
  return !spec.deniedNamespaces?.includes(namespace) && (allowed === undefined || allowed.includes(namespace));
}

function refusal(namespace: string, scope: KnownScope | KnownClusterScope): string | undefined {
  if (allowsNamespace(scope, namespace)) return undefined;
  const { deniedNamespaces = [], allowedNamespaces } = scope.spec;
  if (deniedNamespaces.includes(namespace)) return `${JSON.stringify(namespace)} is among the deniedNamespaces of ${titled(scope)}`;
  return `${JSON.stringify(namespace)} is not among the allowedNamespaces of ${titled(scope)}: ${someOf(bounding(allowedNamespaces) ?? [])}`;
}
