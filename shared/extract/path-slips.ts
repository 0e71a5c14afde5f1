import { nearestName } from '../nearest.ts';
import type { ReadPath } from './read-path.ts';

/**
 * What a path names although no object has it, and what was likely meant: a misspelt field that every object has, or a name with dots that
 * was taken apart. Undefined when nothing is suspicious.
 *
 * @example likelySlip(compilePath('$.metadata.lables.app').reads) // 'metadata has no field "lables"; did you mean "labels"?'
 */
export function likelySlip(reads: readonly ReadPath[]): string | undefined {
  for (const { prefix } of reads) {
    const slip = misspeltRoot(prefix[0]) ?? misspeltMetadata(prefix) ?? dottedKey(prefix);
    if (slip !== undefined) return slip;
  }
  return undefined;
}

type Step = string | number | undefined;

/** What most objects begin with. Kinds may have other fields beside them, so that only what is close to one of these is a slip. */
const roots = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

function misspeltRoot(root: Step): string | undefined {
  if (typeof root !== 'string' || roots.includes(root)) return undefined;
  const near = nearestName(root, roots);
  return near && `objects have no field ${JSON.stringify(root)} as a rule; did you mean ${JSON.stringify(near)}?`;
}

/** The metadata of every object, and nothing else is in it. */
const metadataFields = [
  'annotations',
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'finalizers',
  'generateName',
  'generation',
  'labels',
  'managedFields',
  'name',
  'namespace',
  'ownerReferences',
  'resourceVersion',
  'selfLink',
  'uid',
];

function misspeltMetadata([root, field]: readonly Step[]): string | undefined {
  if (root !== 'metadata' || typeof field !== 'string' || metadataFields.includes(field)) return undefined;
  const near = nearestName(field, metadataFields);
  return `metadata has no field ${JSON.stringify(field)}${near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`}`;
}

/** Labels and annotations are texts: what seems to lie below one is the rest of its key. */
function dottedKey(prefix: readonly Step[]): string | undefined {
  const at = prefix.findIndex((step, index) => (step === 'labels' || step === 'annotations') && prefix[index - 1] === 'metadata');
  if (at < 0 || prefix.length <= at + 2) return undefined;
  const key = prefix.slice(at + 1).join('.');
  return `${String(prefix[at])} are texts, with nothing below them; quote a key with dots, as in ${String(prefix[at])}['${key}']`;
}
