import type { CompiledPath } from './compile-path.ts';
import type { ReadPath } from './read-path.ts';

/** kubectl keeps the whole applied object here, with the data of a Secret in it. */
export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Whether the path, applied to a Secret, may read its data: true unless the read is provably outside. Wildcards, `..`, computed keys, the whole
 * object and the annotation of kubectl all count as reading; for Helm paths the values given to a release (`config`) do.
 */
export function readsSecretData(compiled: Pick<CompiledPath, 'language' | 'reads'>): boolean {
  if (compiled.language === 'helm') return compiled.reads.some(({ prefix }) => prefix[1] === 'config');
  return compiled.reads.some(reachesData);
}

function reachesData({ prefix, extent }: ReadPath): boolean {
  const [first, second, third] = prefix;
  if (first === undefined) return extent === 'subtree';
  const root = String(first).toLowerCase();
  if (root === 'data' || root === 'stringdata') return true;
  if (root !== 'metadata' || extent === 'presence') return false;
  if (second === undefined) return true;
  return second === 'annotations' && (third === undefined || third === lastAppliedAnnotation);
}
