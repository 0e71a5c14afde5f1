import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import type { KollectClusterScopeSpec } from '../../api/kollect-cluster-scope.ts';
import type { KollectScopeSpec } from '../../api/kollect-scope.ts';
import { sinkFamilies } from '../../api/sink-ref.ts';
import { warning } from '../finding.ts';
import type { Finding, Report } from '../finding.ts';
import type { KnownClusterScope, KnownObject, KnownScope, Lookups } from '../lookups.ts';
import { byName } from './known-objects.ts';
import { titled } from './known-scope.ts';
import { overlaid } from './object-lookups.ts';
import { scopeRules } from './scope-rules.ts';
import type { StateInput, StateRule } from './state-rule.ts';

type AnyScope = KnownScope | KnownClusterScope;

const asks = {
  only: 'Should be the only scope of its place: of several, the first by name counts.',
  stops: 'Says which existing objects it would stop.',
};

/** What a scope should know of the objects that it will bound. */
export const scopeAdvice: ReadonlyMap<string, readonly StateRule<never>[]> = new Map<string, readonly StateRule<never>[]>([
  [
    'KollectScope',
    [
      { id: 'only-scope', field: 'metadata.name', asks: asks.only, advises: true, check: ({ name, namespace, lookups }: StateInput<KollectScopeSpec>, report: Report) => onlyScope(name, lookups.scopes(namespace), report) },
      { id: 'stops-objects', field: 'spec', asks: asks.stops, advises: true, check: stopsInNamespace },
    ],
  ],
  [
    'KollectClusterScope',
    [
      { id: 'only-scope', field: 'metadata.name', asks: asks.only, advises: true, check: ({ name, lookups }: StateInput<KollectClusterScopeSpec>, report: Report) => onlyScope(name, lookups.clusterScopes(), report) },
      { id: 'stops-objects', field: 'spec', asks: asks.stops, advises: true, check: stopsInCluster },
    ],
  ],
]);

function onlyScope(name: string, scopes: readonly AnyScope[], report: Report): void {
  const [first, ...rest] = scopes.filter(({ metadata }) => metadata.name !== name);
  if (first === undefined) return;
  if (first.metadata.name < name) report(warning('metadata.name', `has no effect: of several scopes the first by name counts, and that is ${titled(first)}; change that one instead`));
  else report(warning('metadata.name', `counts instead of ${titled(first)}${rest.length > 0 ? ` and ${rest.length} more` : ''}: of several scopes only the first by name does; keep one`));
}

function stopsInNamespace({ name, namespace, spec, lookups }: StateInput<KollectScopeSpec>, report: Report): void {
  const scope: KnownScope = { kind: 'KollectScope', metadata: { name, namespace }, spec };
  const scopes = replaced(lookups.scopes(namespace), scope);
  const after = overlaid(lookups, { scopes: (where) => (where === namespace ? scopes : lookups.scopes(where)) });
  stops(boundInNamespace(lookups, namespace), lookups, after, report);
}

function stopsInCluster({ name, spec, lookups }: StateInput<KollectClusterScopeSpec>, report: Report): void {
  const scope: KnownClusterScope = { kind: 'KollectClusterScope', metadata: { name }, spec };
  const scopes = replaced(lookups.clusterScopes(), scope);
  const after = overlaid(lookups, { clusterScopes: () => scopes });
  stops(boundInCluster(lookups), lookups, after, report);
}

function replaced<T extends AnyScope>(scopes: readonly T[], scope: T): T[] {
  return byName([...scopes.filter(({ metadata }) => metadata.name !== scope.metadata.name), scope]);
}

function* boundInNamespace(lookups: Lookups, namespace: string): Generator<KnownObject> {
  yield* lookups.targets(namespace);
  yield* lookups.inventories(namespace);
  for (const inventory of lookups.clusterInventories()) if (sinkNamespaceOf(inventory.spec) === namespace) yield inventory;
  for (const family of sinkFamilies) yield* lookups.sinks(family, namespace);
}

function* boundInCluster(lookups: Lookups): Generator<KnownObject> {
  yield* lookups.clusterTargets();
  yield* lookups.clusterInventories();
}

/** A scope over more objects than this, or over more items of their lists, is judged by the first of them: the count is advice, and other reviews wait meanwhile. */
const maxJudged = 200;
const maxItems = 10_000;
const maxNamed = 5;

function stops(objects: Iterable<KnownObject>, before: Lookups, after: Lookups, report: Report): void {
  const stopped: string[] = [];
  let judged = 0;
  let items = 0;
  let isPart = false;
  for (const object of objects) {
    isPart = judged === maxJudged || items > maxItems;
    if (isPart) break;
    judged++;
    items += itemsOf(object);
    const earlier = new Set(refusals(object, before).map(keyOf));
    if (refusals(object, after).some((finding) => !earlier.has(keyOf(finding)))) stopped.push(titled(object));
  }
  if (stopped.length === 0) return;
  const more = stopped.length > maxNamed ? ` and ${stopped.length - maxNamed} more` : '';
  const count = `${stopped.length}${isPart ? ` of the first ${judged}` : ''} existing ${stopped.length === 1 ? 'object' : 'objects'}`;
  report(warning('spec', `does not allow ${count}: ${stopped.slice(0, maxNamed).join(', ')}${more}; they stop, and are refused when they are applied again`));
}

function itemsOf({ spec }: KnownObject): number {
  return Object.values(spec).reduce((sum: number, value) => sum + (Array.isArray(value) ? value.length : 0), 0);
}

function refusals({ kind, metadata, spec }: KnownObject, lookups: Lookups): Finding[] {
  const findings: Finding[] = [];
  const input = { kind, name: metadata.name, namespace: metadata.namespace ?? '', spec: spec as never, lookups };
  for (const { check } of scopeRules.get(kind) ?? []) check(input, (finding) => findings.push(finding));
  return findings.filter(({ severity }) => severity === 'error');
}

function keyOf({ field, type }: Finding): string {
  return `${type} ${field}`;
}
