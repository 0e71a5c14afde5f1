import { KollectError } from '../errors.ts';
import type { Json, JsonObject } from './json.ts';
import { prunePath, prunePointer } from './prune.ts';
import type { Prune } from './prune.ts';
import { pruneMembers } from './prune-members.ts';
import type { StepBudget } from './step-budget.ts';

/** The `export` block of a profile, as far as whole objects need it. */
export interface ResourceExportSource {
  include?: string | undefined;
  dedupeIdentity?: boolean | undefined;
  prune?: { defaults?: boolean | undefined; jsonPointers?: readonly string[] | undefined; jsonPaths?: readonly string[] | undefined; cel?: readonly string[] | undefined } | undefined;
}

/** What a row keeps of a whole object, given what takes the secrets out; shares what it keeps with the object, which stays as it is. */
export type ResourceExport = (object: JsonObject, redact: (value: Json) => Json) => Json;

/**
 * Compiles `export.mode: Resource`: parts of the object by `include`, then without its identity, without what changes for no reason that
 * anybody wants to see, without secrets, and without what the profile prunes, in this order. Names tell which values are secret, so that none may be pruned before.
 * The reset of the budget is the caller's.
 *
 * @throws KollectError KOL_EXTRACT_PATH or KOL_EXTRACT_CEL naming the field that cannot be pruned by
 */
export function compileResourceExport({ include = 'SpecAndStatus', dedupeIdentity = true, prune = {} }: ResourceExportSource, budget: StepBudget): ResourceExport {
  const before = [...(dedupeIdentity ? identity : []), ...((prune.defaults ?? true) ? churn : [])].map(prunePointer);
  const after: Prune[] = [
    ...(prune.jsonPointers ?? []).map(prunePointer),
    ...(prune.jsonPaths ?? []).map((path) => named('jsonPaths', () => prunePath(path))),
    ...(prune.cel?.length ? [named('cel', () => pruneMembers(prune.cel ?? [], budget))] : []),
  ];
  const kept = keptMembers({ include });
  return (object, redact) => {
    const start: JsonObject = kept === undefined ? object : Object.fromEntries(kept.flatMap((key): [string, Json][] => (Object.hasOwn(object, key) ? [[key, object[key] as Json]] : [])));
    const apply = (value: Json, step: Prune): Json => step(value, budget);
    return after.reduce(apply, redact(before.reduce<Json>(apply, start)));
  };
}

/** The members of objects that are looked at; all when undefined. */
export function keptMembers({ include = 'SpecAndStatus' }: ResourceExportSource): readonly string[] | undefined {
  return parts[include];
}

/** Members by `include`; all others are kept whole. */
const parts: Readonly<Record<string, readonly string[]>> = {
  MetadataOnly: ['apiVersion', 'kind', 'metadata'],
  SpecOnly: ['apiVersion', 'kind', 'spec'],
  StatusOnly: ['apiVersion', 'kind', 'status'],
  SpecAndStatus: ['apiVersion', 'kind', 'spec', 'status'],
};

/** The row has these. */
const identity = ['/metadata/name', '/metadata/namespace', '/metadata/uid'];

/** What servers and tools rewrite beside every change, or without one. */
const churn = [
  '/metadata/managedFields',
  '/metadata/resourceVersion',
  '/metadata/generation',
  '/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration',
  '/metadata/annotations/argocd.argoproj.io~1tracking-id',
];

function named(field: string, compile: () => Prune): Prune {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof KollectError)) throw error;
    throw new KollectError(error.code, `export.prune.${field}: ${error.message}`, { cause: error });
  }
}
