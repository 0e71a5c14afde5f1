/**
 * One collected object as one target sees it. Immutable: a change replaces the row. Its strings come out of `JSON.parse` and
 * `JSON.stringify` only, because a piece cut from a larger string would keep the whole of it alive.
 */
export interface Row {
  readonly targetNamespace: string;
  readonly targetName: string;
  /** Namespace of the object, `""` for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Canonical JSON of the whole row. */
  readonly payload: string;
  /** SHA-256 of the payload, 32 bytes in a latin1 string. */
  readonly hash: string;
}

/** A row with the store's own bookkeeping, which is no part of its content. */
export interface StoredRow extends Row {
  resourceVersion: string;
  /** The list that last confirmed the row. */
  epoch: number;
  failures: number;
}

export interface RowFacts {
  namespace: string;
  name: string;
  uid: string;
  payload: string;
  resourceVersion: string;
  /** Attributes that could not be extracted. */
  failures: number;
}
