/** What a place with files and folders can be asked. Paths are relative to its root and have `/` between their parts. */
export interface FileStore {
  /**
   * The first bytes of a file, all of them when `maxBytes` is unset; undefined when there is none.
   */
  read(path: string, maxBytes?: number): Promise<Uint8Array | undefined>;
  /** Names of the files that are directly in a folder; none when there is no such folder. `''` is the root. */
  list(folder: string): Promise<readonly string[]>;
}

/** Below the root, and not in the folder of git itself: whatever a file says that somebody else may have written, nothing else is removed. */
export function isPathWithin(path: string): boolean {
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part.toLowerCase() !== '.git') && !/[\\\p{Cc}]/u.test(path);
}
