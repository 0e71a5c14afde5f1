/** A place in an object that a path reads. */
export interface ReadPath {
  /** Keys and indexes from the root that are fixed by the text of the path. */
  prefix: readonly (string | number)[];
  /** `subtree`: the value there, or anything below it. `presence`: only whether it is there. */
  extent: 'subtree' | 'presence';
}

/** Whether nothing is read but what the metadata of an object says, and what kind it is of. */
export function readsMetadataOnly(reads: readonly ReadPath[]): boolean {
  return reads.every(({ prefix: [first] }) => first === 'metadata' || first === 'kind' || first === 'apiVersion');
}
