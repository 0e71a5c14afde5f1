import type { KubeObject } from '../api/kube-object.ts';
import { errorOfStatus, KubeApiError } from './api-error.ts';
import { parseJson } from './json.ts';

/** One line of a watch. A bookmark carries a version and no object worth having. */
export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: KubeObject;
}

const types = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

/**
 * Reads a line of a watch, freed of `managedFields`. Throws what an ERROR event tells of, and `KubeApiError` with reason `BrokenLine` for anything that
 * is no event: what follows such a line cannot be trusted.
 *
 * @param of what the objects are, where they do not say so themselves
 */
export function readWatchEvent(line: string, of?: { readonly apiVersion: string; readonly kind: string }): WatchEvent {
  const event = parseLine(line);
  if (event?.type === 'ERROR') throw errorOfStatus(event.object ?? {});
  const metadata = event?.object?.['metadata'] as { managedFields?: unknown } | undefined;
  if (!event || !types.has(event.type) || typeof metadata !== 'object' || metadata === null) throw brokenLine(line);
  delete metadata.managedFields;
  if (of) Object.assign(event.object!, of);
  return event as unknown as WatchEvent;
}

function parseLine(line: string): { type: string; object?: Record<string, unknown> | null } | null {
  try {
    return parseJson(line) as ReturnType<typeof parseLine>;
  } catch {
    // The parser's own message quotes the line, which may be a Secret.
    throw brokenLine(line);
  }
}

function brokenLine(line: string): KubeApiError {
  return new KubeApiError(0, 'BrokenLine', `a line of ${line.length} characters is no event of a watch`);
}
