/** A bucket, or a container of Azure. All methods throw `KollectError`, and stop when `signal` aborts. */
export interface ObjectStore {
  /** What is known of an object without reading it; undefined when there is none. */
  head(key: string, signal: AbortSignal): Promise<ObjectFacts | undefined>;
  /** The first bytes of an object, all of them when `maxBytes` is undefined; undefined when there is none. */
  read(key: string, maxBytes: number | undefined, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Keys that begin so and have no further slash, in pages. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<readonly string[]>;
  /** Writes an object at once. Throws `ConditionFailed`. */
  put(key: string, bytes: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void>;
  /** Begins an object that is larger than one request. Nothing of it is seen before it is finished. */
  upload(key: string, options: PutOptions, signal: AbortSignal): Promise<Upload>;
  /** Removes an object if it is there, and the `version` when one is given. Throws `ConditionFailed`. */
  remove(key: string, version: string | undefined, signal: AbortSignal): Promise<void>;
  /** See `Sink.probe`. */
  probe(prefix: string, signal: AbortSignal): Promise<string>;
  close(): Promise<void>;
}

export interface ObjectFacts {
  /** Differs after each write: an ETag, or a generation. */
  version: string;
  metadata: Readonly<Record<string, string>>;
}

export interface PutOptions {
  /** The version that is there; `none` for no object, `any` for whatever may be. */
  replaces: { version: string } | 'none' | 'any';
  contentType: string;
  /** Names of lower-case letters, values of printable ASCII. */
  metadata: Readonly<Record<string, string>>;
}

export interface Upload {
  /** Sends the next piece: `partBytes`, or less when it is the last. */
  part(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Puts the object in its place. Throws `ConditionFailed`. */
  finish(signal: AbortSignal): Promise<void>;
  /** Leaves nothing of it, as far as the store lets. */
  abandon(): Promise<void>;
}

/** The object is not what it was when it was looked at, or is there already. */
export class ConditionFailed extends Error {
  constructor(options?: ErrorOptions) {
    super('the object has changed meanwhile', options);
    this.name = 'ConditionFailed';
  }
}

/** What is sent with one request. S3 takes no smaller parts than 5 MiB, and 10,000 at most. */
export const partBytes = 8 * 1024 * 1024;

/** An answer to one request. One that takes longer is given up; parts of 8 MiB need less on any line that is worth exporting over. */
export const answerMs = 30_000;

/** To ask for credentials, which all who wait for them wait for together. */
export const loginMs = 10_000;

/** Ends with the caller's patience, or when one request takes too long. */
export function requestSignal(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
}

/** The outcome of work, of which a part, such as a login, may not listen to the signal. Rejects with the reason of the signal. */
export async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
