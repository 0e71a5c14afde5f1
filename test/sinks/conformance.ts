import { createHash } from 'node:crypto';
import type { ExportRow, InventoryIdentity, Sink, SinkChange, SnapshotState } from '../../controller/sinks/contract.ts';
import type { OpenSinkOptions } from '../../controller/sinks/runtime/open-sink.ts';
import { KollectError } from '../../shared/errors.ts';

/** Stands in the credentials of every destination, and must be in no message. */
export const canary = 'canary-4c1f9';

/** A row as the destination holds it. `written` differs when the row was written again. */
export interface StoredRow {
  inventory: string;
  cluster: string;
  target: string;
  uid: string;
  /** Canonical text or a JSON text that is equal to it; whatever the destination gives for what it stores. */
  payload: string;
  written: string;
}

/** Somewhere to export to that no other test sees. */
export interface Destination {
  open(options?: Pick<OpenSinkOptions, 'fence' | 'installation'>): Promise<Sink>;
  /** Everything it holds, by inventory, cluster, target and uid. */
  contents(): Promise<StoredRow[]>;
  /** From now on rows whose payload holds `text` are refused because of their content. */
  refuse(text: string): Promise<void>;
  /** Whether `open()` was followed by anything that a user would find in the destination. */
  touched(): Promise<boolean>;
  /** What the sink writes next is taken and the confirmation lost; that of the `later`th write after it when given, none for Infinity. */
  loseConfirmation(later: number): void;
  /** What the sink writes next is taken, and no answer ever comes. */
  loseAnswer(): void;
  /** The next write waits for as long as the server is asked to wait. Resolves when it does. */
  holdNextWrite(): Promise<{ waiting(): Promise<void>; release(): Promise<void> }>;
}

export interface Conformance {
  name: string;
  /** Declared as data by the backend, and held to it here. */
  supports: {
    /** It takes changes of rows. Otherwise each export replaces the one before as a whole. */
    changes: boolean;
    /** It refuses single rows because of their content. */
    rowRefusal: boolean;
    /** A check tells how many rows there are. */
    counts: boolean;
    /** It keeps the digest of what was written last. */
    digests: boolean;
    /** It keeps who wrote. */
    owners: boolean;
    /** It can be asked which of some rows it does not hold as they are. */
    rowQuestions: boolean;
    /** It can store the character U+0000. */
    nul: boolean;
  };
  maxRowBytes: number;
  /** Rows of a large pass; 25,000 when unset. */
  manyRows?: number;
  /** False: a row of one cluster and of another are the same if all else is, which it is for objects with the same uid only. */
  keyHasCluster?: false;
  destination(): Promise<Destination>;
}

export const signal = new AbortController().signal;

export function identity(name = 'shop', cluster = ''): InventoryIdentity {
  return { namespace: 'team-a', name, cluster, generation: 1 };
}

/** A row with the canonical payload that collection would make. */
export function row(uid: string, attributes: Record<string, unknown> | string = {}, targetName = 'web'): ExportRow {
  const text = typeof attributes === 'string' ? attributes : JSON.stringify(attributes);
  const payload = `{"targetNamespace":"team-a","targetName":${JSON.stringify(targetName)},"namespace":"ns","name":${JSON.stringify(uid)},"version":"v1","kind":"Pod","uid":${JSON.stringify(uid)},"attributes":${text}}`;
  return { targetName, targetNamespace: 'team-a', namespace: 'ns', name: uid, uid, payload, hash: createHash('sha256').update(payload).digest().toString('latin1') };
}

export function rows(count: number, attributes: Record<string, unknown> = {}, targetName = 'web'): ExportRow[] {
  return Array.from({ length: count }, (_, index) => row(`u${String(index).padStart(6, '0')}`, attributes, targetName));
}

export interface ChangeParts {
  identity?: InventoryIdentity;
  deletes?: readonly string[];
  complete?: readonly string[];
  /** Uids of `web`. */
  keep?: readonly string[];
  known?: readonly string[];
  spared?: SinkChange['spared'];
  staleLimit?: SinkChange['staleLimit'];
  after?: SnapshotState;
}

/** A change; a delta unless `complete` or `known` are given. */
export function change(upserts: readonly ExportRow[], parts: ChangeParts = {}): SinkChange {
  return {
    identity: parts.identity ?? identity(),
    upserts: slices(upserts),
    upsertCount: upserts.length,
    deletes: (parts.deletes ?? []).map((uid) => ({ targetName: 'web', uid })),
    completeTargets: parts.complete ?? [],
    keep: (parts.keep ?? []).map((uid) => ({ targetName: 'web', uid })),
    ...(parts.known === undefined ? {} : { knownTargets: parts.known }),
    ...(parts.staleLimit === undefined ? {} : { staleLimit: parts.staleLimit }),
    ...(parts.spared === undefined ? {} : { spared: parts.spared }),
    after: parts.after,
  };
}

/** All rows of an inventory whose only target is `web`. */
export function whole(upserts: readonly ExportRow[], parts: ChangeParts = {}): SinkChange {
  return change(upserts, { complete: ['web'], known: ['web'], ...parts });
}

function* slices(upserts: readonly ExportRow[]): Generator<readonly ExportRow[]> {
  for (let start = 0; start < upserts.length; start += 1_000) yield upserts.slice(start, start + 1_000);
}

/** In the order of `contents`. */
export const uids = (stored: readonly StoredRow[]): string[] => stored.map(({ uid }) => uid);
/** The attribute `v`. */
export const attribute = (stored: StoredRow | undefined): unknown => (JSON.parse(stored?.payload ?? 'null') as { attributes: { v: unknown } }).attributes.v;

/** Rejects with the error that the promise rejects with, after looking for the canary in all of it. */
export async function failure(work: Promise<unknown>): Promise<KollectError> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof KollectError)) throw error;
    const seen = [error.message, error.stack, String(error.cause), JSON.stringify(error)].join('\n');
    if (seen.includes(canary)) throw new Error('the error shows the password', { cause: error });
    return error;
  }
  throw new Error('did not fail');
}
