import { sinkRefLists } from '../api/sink-ref.ts';
import { isObject } from '../values.ts';
import { applyJsonPatch } from './json-patch.ts';
import type { JsonPatchOperation } from './json-patch.ts';
import type { Lookups } from './lookups.ts';
import { floorOfClusterInventory, floorOfNamespace } from './state/export-floor.ts';
import type { ExportFloor } from './state/export-floor.ts';

/** What filling in may know beside the object. */
export interface FillContext {
  /** Without any, no scope is known. */
  lookups?: Lookups | undefined;
  /** That of the request, which counts more than what the object says. */
  namespace?: string;
}

/**
 * What an object leaves out and Kollect fills in, as an RFC 6902 patch; empty when nothing is to do, so that applying it twice is applying
 * it once. Whatever has an unexpected shape is left as it is, for validation to speak about. Throws only what the lookups throw, and they
 * are asked only when `needsFloor`.
 *
 * @example mutate('KollectInventory', { spec: { databaseSinkRefs: ['pg'], exportMinInterval: '1m' } })
 * // [{ op: 'replace', path: '/spec/databaseSinkRefs/0', value: { name: 'pg' } }]
 */
export function mutate(kind: string, object: unknown, context: FillContext = {}): JsonPatchOperation[] {
  const spec = isObject(object) ? object.spec : undefined;
  if (!isObject(spec)) return [];
  switch (kind) {
    case 'KollectInventory':
    case 'KollectClusterInventory':
      return [...sinkRefs(spec), ...(needsFloor(kind, object) ? add('exportMinInterval', intervalAbove(floorOf(kind, object, context))) : [])];
    case 'KollectSnapshotSink':
      return [...fill(spec, 'connectionTest', true), ...(spec.type === 'git' ? fill(spec, 'git', {}) : [])];
    case 'KollectDatabaseSink':
    case 'KollectEventSink':
      return fill(spec, 'connectionTest', true);
    default:
      return [];
  }
}

/** The object as the API server would have stored it after `mutate`; what is unchanged is shared with the argument, which stays as it is. */
export function applyDefaults<T>(kind: string, object: T, context: FillContext = {}): T {
  return applyJsonPatch(object, mutate(kind, object, context));
}

/** Whether what is filled in depends on scopes: an inventory leaves its interval out. */
export function needsFloor(kind: string, object: unknown): boolean {
  if (kind !== 'KollectInventory' && kind !== 'KollectClusterInventory') return false;
  const spec = isObject(object) ? object.spec : undefined;
  return isObject(spec) && isUnset(spec.exportMinInterval);
}

/** In milliseconds, and as it is written. */
const defaultInterval = { ms: 30_000, text: '30s' };

/** An interval that nobody chose must not be refused for being too short. */
function intervalAbove(floor: ExportFloor | undefined): string {
  return floor !== undefined && floor.ms > defaultInterval.ms ? floor.text : defaultInterval.text;
}

function floorOf(kind: string, object: unknown, { lookups, namespace: requested }: FillContext): ExportFloor | undefined {
  if (lookups === undefined || !isObject(object) || !isObject(object.spec)) return undefined;
  const { sinkNamespace } = object.spec;
  if (kind === 'KollectClusterInventory') return floorOfClusterInventory(lookups, typeof sinkNamespace === 'string' ? { sinkNamespace } : {});
  const namespace = requested ?? (isObject(object.metadata) ? object.metadata.namespace : undefined);
  return typeof namespace === 'string' ? floorOfNamespace(lookups, namespace) : undefined;
}

/** Longer lists are refused anyway; a patch for them would only be work. */
const maxSinkRefs = 64;

/** A sink may be named by a plain string; stored is always the object. */
function* sinkRefs(spec: Record<string, unknown>): Generator<JsonPatchOperation> {
  for (const list of sinkRefLists) {
    const refs = spec[list];
    if (!Array.isArray(refs) || refs.length > maxSinkRefs) continue;
    for (const [index, ref] of refs.entries()) {
      if (typeof ref === 'string') yield { op: 'replace', path: `/spec/${list}/${index}`, value: { name: ref } };
    }
  }
}

function fill(spec: Record<string, unknown>, field: string, value: unknown): JsonPatchOperation[] {
  return isUnset(spec[field]) ? add(field, value) : [];
}

function add(field: string, value: unknown): JsonPatchOperation[] {
  return [{ op: 'add', path: `/spec/${field}`, value }];
}

/** An explicit null means "not set" to the API server. */
function isUnset(value: unknown): boolean {
  return value === undefined || value === null;
}
