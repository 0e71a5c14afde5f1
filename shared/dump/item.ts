/** A part of a file that holds one object. */
export interface DumpItem {
  /** Offset of the first byte in the file, and of that behind the last one. */
  start: number;
  end: number;
  /** Lines before the one that it begins in, and bytes before it in that line. */
  line: number;
  column: number;
}

/** What the list that items stand in says of them, where they do not say it themselves. */
export interface ListHeader {
  apiVersion: string;
  kind: string;
}

/** Finds the objects of a text as its bytes come. */
export interface ItemFinder {
  /** Takes the next bytes, and hands over each object that is complete with its bytes, which are only good during the call. */
  push(chunk: Buffer): void;
  /** Throws an `Error` when the text is not complete. */
  end(): void;
}

export interface ItemHandlers {
  item(item: DumpItem, bytes: Buffer): void;
  /** The list of the items since the last call is over. Undefined: they stood in none. */
  listed(header: Buffer | undefined): void;
}
