/** A place in an object that a path reads. */
export interface ReadPath {
  /** Keys and indexes from the root that are fixed by the text of the path. */
  prefix: readonly (string | number)[];
  /** `subtree`: the value there, or anything below it. `presence`: only whether it is there. */
  extent: 'subtree' | 'presence';
}
