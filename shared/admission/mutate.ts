import { applyJsonPatch } from './json-patch.ts';
import type { JsonPatchOperation } from './json-patch.ts';

/**
 * What an object leaves out and Kollect fills in, as an RFC 6902 patch; empty when nothing is to do, so that applying it twice is applying
 * it once. Never throws: whatever has an unexpected shape is left as it is, for validation to speak about.
 *
 * @example mutate('KollectInventory', { spec: { databaseSinkRefs: ['pg'], exportMinInterval: '1m' } })
 * // [{ op: 'replace', path: '/spec/databaseSinkRefs/0', value: { name: 'pg' } }]
 */
export function mutate(kind: string, object: unknown): JsonPatchOperation[] {
  const spec = isObject(object) ? object.spec : undefined;
  if (!isObject(spec)) return [];
  switch (kind) {
    case 'KollectInventory':
    case 'KollectClusterInventory':
      return [...sinkRefs(spec), ...fill(spec, 'exportMinInterval', defaultExportMinInterval)];
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
export function applyDefaults<T>(kind: string, object: T): T {
  return applyJsonPatch(object, mutate(kind, object));
}

const defaultExportMinInterval = '30s';

/** Longer lists are refused anyway; a patch for them would only be work. */
const maxSinkRefs = 64;

/** A sink may be named by a plain string; stored is always the object. */
function* sinkRefs(spec: Record<string, unknown>): Generator<JsonPatchOperation> {
  for (const list of ['snapshotSinkRefs', 'databaseSinkRefs', 'eventSinkRefs']) {
    const refs = spec[list];
    if (!Array.isArray(refs) || refs.length > maxSinkRefs) continue;
    for (const [index, ref] of refs.entries()) {
      if (typeof ref === 'string') yield { op: 'replace', path: `/spec/${list}/${index}`, value: { name: ref } };
    }
  }
}

function fill(spec: Record<string, unknown>, field: string, value: unknown): JsonPatchOperation[] {
  // An explicit null means "not set" to the API server.
  return spec[field] === undefined || spec[field] === null ? [{ op: 'add', path: `/spec/${field}`, value }] : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
