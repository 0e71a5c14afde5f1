/** What a place with files and folders can be asked. Paths are relative to its root and have `/` between their parts. */
export interface FileStore {
  /**
   * The first bytes of a file, all of them when `maxBytes` is unset; undefined when there is none.
   */
  read(path: string, maxBytes?: number): Promise<Uint8Array | undefined>;
  /** Files that are there, in this order, which costs less than to read one after the other. For many small ones: some hundred are in memory at a time. */
  readAll(paths: readonly string[]): AsyncIterable<readonly [path: string, file: Uint8Array]>;
  /** Names of the files that are directly in a folder, at least of those that begin with `start`; none when there is no such folder. `''` is the root. */
  list(folder: string, start: string): Promise<readonly string[]>;
}

/** Below the root, and not in the folder of git itself: whatever a file says that somebody else may have written, nothing else is removed. */
export function isPathWithin(path: string): boolean {
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part.toLowerCase() !== '.git') && !/[\\\p{Cc}]/u.test(path);
}
