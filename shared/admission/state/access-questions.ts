import { isDeepStrictEqual } from 'node:util';
import { collectedKinds } from '../../api/collected-kinds.ts';
import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import type { KollectClusterInventorySpec } from '../../api/kollect-cluster-inventory.ts';
import type { KollectClusterTargetSpec } from '../../api/kollect-cluster-target.ts';
import { GROUP } from '../../api/group.ts';
import { gvkKey, isSameGvk } from '../../api/gvk.ts';
import type { LooseGvk } from '../../api/gvk.ts';
import { kindByName } from '../../api/kinds.ts';
import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import type { GroupVersionKind } from '../../kube/discovery.ts';
import type { Subject } from '../judge-object.ts';
import { sinkKinds } from '../lookups.ts';
import type { KnownProfile, Lookups } from '../lookups.ts';
import type { Loose } from '../rule.ts';
import { bounding } from './known-scope.ts';
import { sinkReferences } from './sink-references.ts';

/**
 * Something that the user has to be allowed, because Kollect will do it on behalf of the object that the user writes: nobody gets through
 * Kollect what the API server would not give them.
 */
export interface AccessQuestion {
  /** The field that asks for it. */
  field: string;
  verb: 'get' | 'list';
  /** A resource, or a kind of which discovery has to tell the resource. */
  resource: { group: string; plural: string } | { kind: GroupVersionKind };
  name?: string;
  /**
   * Where the user needs the right: in each of these. `cluster` is everywhere at once, which counts for every namespace as well. With an empty
   * list the right is needed only when the kind is cluster-scoped, or not served yet, so that it may turn out to be.
   */
  namespaces: readonly string[] | 'cluster';
}

/** More namespaces than this are not asked for one by one: whoever collects from so many needs the right on the whole cluster. */
const maxNamespaces = 50;
/** Targets of a profile whose namespaces are looked at; beyond, the right on the whole cluster is needed. */
const maxTargets = 1_000;
/** More kinds than this, of all targets of a profile, are not asked for one by one: the right on everything is needed. */
const maxKinds = 100;

/**
 * What the writer of an object has to be allowed. On an update only what the old object did not ask for already; nothing when the spec is the same. Both
 * have their defaults.
 *
 * @example accessQuestions({ kind: 'KollectDatabaseSink', object: sink, namespace: 'team-a' }, lookups)
 * // [{ field: 'spec.postgres.databaseRef', verb: 'get', resource: { group: '', plural: 'secrets' }, name: 'dsn', namespaces: ['kollect-system'] }]
 */
export function accessQuestions({ kind, object, namespace, old }: Subject, lookups: Lookups): AccessQuestion[] {
  const { metadata, spec } = object as Written;
  const before = (old as Partial<Written> | undefined)?.spec;
  if (before !== undefined && isDeepStrictEqual(before, spec)) return [];
  const name = metadata?.name ?? '';
  const questions = questionsOf({ kind, namespace, name, spec }, lookups);
  if (questions.length === 0 || before === undefined || before === null || isDeepened({ kind, namespace, before, after: spec }, lookups)) return questions;
  return without(questions, questionsOf({ kind, namespace, name, spec: before }, lookups));
}

interface Written {
  metadata?: { name?: string } | null;
  spec: unknown;
}

function questionsOf({ kind, namespace, name, spec }: { kind: string; namespace: string; name: string; spec: unknown }, lookups: Lookups): AccessQuestion[] {
  switch (kind) {
    case 'KollectSnapshotSink':
    case 'KollectDatabaseSink':
    case 'KollectEventSink':
      return [...secretsElsewhere(spec, 'spec', namespace)];
    case 'KollectClusterInventory':
      return sinksOf(spec as Loose<KollectClusterInventorySpec>);
    case 'KollectTarget':
      return collectionOf(spec as Filter, profileOf(spec, namespace, lookups), namespace);
    case 'KollectClusterTarget':
      return collectionOf(spec as Filter, profileOf(spec, namespace, lookups), undefined);
    case 'KollectProfile':
      return targetsOf(name, namespace, spec, lookups);
    default:
      return [];
  }
}

/** That of a target, or of a cluster target, which names its namespace. */
function profileOf(spec: unknown, own: string, lookups: Lookups): KnownProfile | undefined {
  const { profileRef } = spec as Pick<Loose<KollectTargetSpec>, 'profileRef'> | Pick<Loose<KollectClusterTargetSpec>, 'profileRef'>;
  if (typeof profileRef === 'string') return lookups.profile(own, profileRef);
  return profileRef?.name === undefined ? undefined : lookups.profile(profileRef.namespace ?? '', profileRef.name);
}

/** What of a sink says when to write, not where to and what: a path may be that of a pipeline, a layout prunes what is beside it. */
const harmless = ['exportMinInterval', 'connectionTest'];

/** What of a target leaves alone which objects it finds; kinds and namespaces are compared one by one. */
const harmlessOfTargets = ['suspend', 'limits', 'includedNamespaces', 'resourceRules'];

function omit(spec: unknown, keys: readonly string[]): object {
  return Object.fromEntries(Object.entries(spec as object).filter(([key]) => !keys.includes(key)));
}

/**
 * Whether a change gives new meaning to what was allowed before: a profile that reads more of what its targets collect, a target that selects other objects
 * or reads them by another profile, a sink that sends its credentials to another place.
 */
function isDeepened({ kind, namespace, before, after }: { kind: string; namespace: string; before: unknown; after: unknown }, lookups: Lookups): boolean {
  if (kind === 'KollectProfile') return true;
  if (kind.endsWith('Target')) return !isDeepStrictEqual(omit(before, harmlessOfTargets), omit(after, harmlessOfTargets)) || selectsFurther(before as Filter, after as Filter, profileOf(after, namespace, lookups)?.spec.targetGVK);
  if (!kind.endsWith('Sink')) return false;
  return !isDeepStrictEqual(withoutSecretReferences(omit(before, harmless)), withoutSecretReferences(omit(after, harmless)));
}

/** Whether more objects are found of a kind that was collected before: what several rules find counts together, and no rule finds all. */
function selectsFurther(before: Filter, after: Filter, ofProfile: LooseGvk | undefined): boolean {
  const known = new Map(collectedKinds(before.resourceRules, ofProfile).map(({ gvk, rules }) => [gvkKey(gvk), rules.map((rule) => omit(rule, ['gvk']))]));
  return collectedKinds(after.resourceRules, ofProfile).some(({ gvk, rules }) => {
    const former = known.get(gvkKey(gvk));
    if (former === undefined || former.length === 0) return false;
    return rules.length === 0 || rules.some((rule) => former.every((one) => !isDeepStrictEqual(one, omit(rule, ['gvk']))));
  });
}

/** References to Secrets are compared one by one: a further one must not ask for all others again. */
function withoutSecretReferences(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutSecretReferences);
  const entries = Object.entries(value).filter(([key]) => !isSecretReference(key));
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutSecretReferences(inner)]));
}

/** All fields of sinks that name a Secret end so. */
function isSecretReference(key: string): boolean {
  return /(?:[sS]ecret|database)Ref$/.test(key);
}

function* secretsElsewhere(value: unknown, field: string, own: string): Generator<AccessQuestion> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    const at = `${field}.${key}`;
    if (!isSecretReference(key)) {
      yield* secretsElsewhere(inner, at, own);
      continue;
    }
    const { name, namespace } = (inner ?? {}) as { name?: unknown; namespace?: unknown };
    if (typeof name !== 'string' || typeof namespace !== 'string' || namespace.trim() === '' || namespace === own) continue;
    yield { field: at, verb: 'get', resource: { group: '', plural: 'secrets' }, name, namespaces: [namespace] };
  }
}

function sinksOf(spec: Loose<KollectClusterInventorySpec>): AccessQuestion[] {
  return Array.from(sinkReferences(spec), ({ family, nameField, name, namespace }) => ({
    field: nameField,
    verb: 'get',
    resource: { group: GROUP, plural: kindByName(sinkKinds[family])?.plural ?? '' },
    name,
    namespaces: [namespace ?? sinkNamespaceOf(spec)],
  }));
}

interface Filter {
  readonly resourceRules?: readonly ({ readonly gvk?: LooseGvk | undefined } | undefined)[] | undefined;
  readonly namespaceSelector?: unknown;
  readonly includedNamespaces?: readonly (string | undefined)[] | undefined;
}

/** A target collects the kinds of its rules, whatever its profile is written for. */
function collectionOf(filter: Filter, profile: KnownProfile | undefined, own: string | undefined): AccessQuestion[] {
  const namespaces = reach(filter, own);
  return collectedKinds(filter.resourceRules, profile?.spec.targetGVK).map(({ gvk, rules: [first] }) => ({
    field: first === undefined ? fieldOfReach(filter) : `spec.resourceRules[${filter.resourceRules?.indexOf(first)}].gvk`,
    verb: 'list',
    resource: { kind: gvk },
    namespaces,
  }));
}

/** The namespaces that a target collects from, beyond its own; those that it names bound what its selector finds. */
function reach({ includedNamespaces, namespaceSelector }: Filter, own: string | undefined): AccessQuestion['namespaces'] {
  const named = bounding(includedNamespaces);
  if (named === undefined) return namespaceSelector === undefined && own !== undefined ? [] : 'cluster';
  return bounded(named.map((name) => name.trim()).filter((name) => name !== own));
}

function bounded(namespaces: Iterable<string>): AccessQuestion['namespaces'] {
  const sorted = [...new Set(namespaces)].toSorted();
  return sorted.length > maxNamespaces ? 'cluster' : sorted;
}

function fieldOfReach({ includedNamespaces, namespaceSelector }: Filter): string {
  if (bounding(includedNamespaces) !== undefined) return 'spec.includedNamespaces';
  return namespaceSelector === undefined ? 'spec.profileRef' : 'spec.namespaceSelector';
}

/** A profile decides what its targets read, of its own kind or of those that they name, so its writer needs what they reach. */
function targetsOf(name: string, namespace: string, spec: unknown, lookups: Lookups): AccessQuestion[] {
  const { targetGVK } = spec as { targetGVK?: LooseGvk };
  const reached = new Map<string, { gvk: GroupVersionKind; namespaces: Set<string> | 'cluster' }>();
  let count = 0;
  for (const target of lookups.targetsOf(namespace, name)) {
    const where = ++count > maxTargets ? 'cluster' : reach(target.spec, target.kind === 'KollectTarget' ? namespace : undefined);
    for (const { gvk } of collectedKinds(target.spec.resourceRules, targetGVK)) {
      const key = gvkKey(gvk);
      const known = reached.get(key) ?? { gvk, namespaces: new Set<string>() };
      known.namespaces = where === 'cluster' || known.namespaces === 'cluster' ? 'cluster' : known.namespaces.union(new Set(where));
      if (known.namespaces !== 'cluster' && known.namespaces.size > maxNamespaces) known.namespaces = 'cluster';
      reached.set(key, known);
    }
    if (reached.size > maxKinds) return [{ field: 'spec', verb: 'list', resource: { group: '*', plural: '*' }, namespaces: 'cluster' }];
  }
  return Array.from(reached.values(), ({ gvk, namespaces }) => ({
    field: isSameGvk(gvk, targetGVK ?? {}) ? 'spec.targetGVK' : 'spec',
    verb: 'list',
    resource: { kind: gvk },
    namespaces: namespaces === 'cluster' ? namespaces : bounded(namespaces),
  }));
}

/** The questions that earlier ones do not answer. */
function without(questions: readonly AccessQuestion[], earlier: readonly AccessQuestion[]): AccessQuestion[] {
  return questions.flatMap((question) => {
    const same = earlier.filter((other) => other.verb === question.verb && other.name === question.name && isDeepStrictEqual(other.resource, question.resource));
    if (same.length === 0) return [question];
    if (same.some(({ namespaces }) => namespaces === 'cluster')) return [];
    if (question.namespaces === 'cluster') return [question];
    const known = new Set(same.flatMap(({ namespaces }) => namespaces));
    const more = question.namespaces.filter((namespace) => !known.has(namespace));
    return more.length === 0 ? [] : [{ ...question, namespaces: more }];
  });
}
