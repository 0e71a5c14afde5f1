import { KollectError } from '../../shared/errors.ts';
import type { SinkFamily } from '../sinks/contract.ts';

/** What became of a name in a spec: the object is there, is not, or must not be used or read. */
export type ReferenceResult = 'ok' | 'not_found' | 'forbidden';

/** Is told each time that a name in a spec was looked up, unless nobody can tell at the moment. */
export interface ReferenceObserver {
  resolved(kind: string, refType: 'profile' | SinkFamily, result: ReferenceResult): void;
}

const resultByReason: Readonly<Record<string, ReferenceResult | 'unknown'>> = {
  SinkNotFound: 'not_found',
  SinkForbidden: 'forbidden',
  ScopeSinkDenied: 'forbidden',
  SinkNamespaceDenied: 'forbidden',
  SinkLookupFailed: 'unknown',
  ScopeLookupFailed: 'unknown',
};

/** What the error of opening a sink says of its name; undefined when nothing. A sink that is there and cannot be opened was found. */
export function referenceResult(error: unknown): ReferenceResult | undefined {
  const result = error instanceof KollectError ? resultByReason[error.reason] : undefined;
  return result === 'unknown' ? undefined : (result ?? 'ok');
}
