import type { SinkPreview } from '../../shared/api/sink-preview.ts';
import type { KollectError } from '../../shared/errors.ts';

/**
 * The one interface between inventories and backends. A backend is a folder `controller/sinks/<type>/` that exports a `Backend`;
 * everything it needs reaches it through `open`, and everything it did comes back from `write`.
 */

export type SinkFamily = 'snapshot' | 'database' | 'event';

/** Which inventory the rows belong to. Passed as data, never parsed from a path. */
export interface InventoryIdentity {
  /** Namespace of the inventory; `cluster` for a KollectClusterInventory. */
  namespace: string;
  name: string;
  /** `spec.cluster` of the sink, `""` when unset. */
  cluster: string;
  /** `metadata.generation` of the inventory. */
  generation: number;
}

/** A row as a sink sees it. `payload` is the canonical JSON of the whole row; rows are immutable. */
export interface ExportRow {
  targetName: string;
  targetNamespace: string;
  /** Namespace of the collected object, `""` for cluster-scoped kinds. */
  namespace: string;
  name: string;
  uid: string;
  payload: string;
  /** SHA-256 of `payload` as 32 bytes in a latin1 string. */
  hash: string;
}

/** Identity of a row inside one inventory. */
export interface RowKey {
  targetName: string;
  uid: string;
}

/** The same as one text: names of targets have no slash. */
export function rowName({ targetName, uid }: RowKey): string {
  return `${targetName}/${uid}`;
}

/** One pass. Everything is optional in effect: an empty change confirms without a write. */
export interface SinkChange {
  identity: InventoryIdentity;
  /** Rows to insert or replace, in any order. Each array is at most a few thousand rows; the iterable is read once. */
  upserts: Iterable<readonly ExportRow[]>;
  upsertCount: number;
  /** Rows that are known to be gone. */
  deletes: readonly RowKey[];
  /**
   * Targets for which `upserts` and `keep` are complete: any other row of theirs that the sink holds for this inventory and cluster is stale
   * and goes. Empty in a delta.
   */
  completeTargets: readonly string[];
  /** Rows of complete targets that stay although `upserts` lacks them: nothing proves that they are gone. */
  spared?: readonly SparedRows[];
  /** Objects that exist and are not handed over: what the sink holds of them is old, not stale, and stays. */
  keep: readonly RowKey[];
  /**
   * When set: nothing explains why more rows than these should be stale. If more are, those of `exempt` targets aside, none of them goes; everything else is
   * done, and the result says how many were held.
   */
  staleLimit?: {
    rows: number;
    exempt: readonly string[];
    /** For a sink that cannot read what it was told before: so many rows of that are gone, or more. Unset: nobody knows of any that it was told. */
    lost?: number;
  };
  /** When set: rows of targets outside this list are stale and go. Unset: other targets are not touched. */
  knownTargets?: readonly string[];
  /**
   * What the destination holds of the inventory when all of this is done, with the digest of the snapshot. Kept there where it can be,
   * in the same atomic write. Unset: that cannot be told, because rows are in quarantine or targets are awaited.
   */
  after?: SnapshotState | undefined;
  /**
   * For sinks of documents, beside all rows: in what these differ from those of the last pass that this sink confirmed. Unset: that cannot be told. One that
   * keeps a file for each row writes these and no other.
   */
  since?: { upserts: readonly ExportRow[]; deletes: readonly RowKey[] } | undefined;
  /** For sinks of documents: larger ones are written in parts. Bytes before compression; no limit when unset. */
  maxDocumentBytes?: number | undefined;
}

/** Rows of a kind, in one namespace or in all. Rows whose kind cannot be told are among them. */
export interface SparedRows {
  targetName: string;
  /** In lower case. */
  group: string;
  kind: string;
  /** Of the collected objects; all when unset. */
  namespace?: string | undefined;
}

/** How much of an inventory there is, and which. */
export interface SnapshotState {
  rows: number;
  digest: string;
}

/** A row for the quarantine: to be tried again when its content is another. */
export interface RejectedRow {
  key: RowKey;
  /** As in `ExportRow`. */
  namespace: string;
  /** Of the content that was refused, as in `ExportRow`. */
  hash: string;
  /** Backend's own code, such as an SQLSTATE; `PayloadTooLarge` for a row that is larger than the backend sends. */
  code: string;
  message: string;
}

export interface WriteResult {
  /** Rows of the change that the destination holds now, as they were handed over. */
  confirmed: number;
  /** Rows inserted or really changed. */
  written: number;
  deleted: number;
  /** Stale rows that were left because of `staleLimit`. A sink of documents has then written nothing at all. */
  held?: number;
  /** Bytes sent as payload. */
  bytes: number;
  rejected: readonly RejectedRow[];
}

/** What the destination says it holds, cheaply. `undefined`: it cannot tell. */
export interface CheckResult {
  rows: number | undefined;
  /** This installation wrote the rows. False: nobody is known to. Absent: the destination keeps no record of who wrote, nor of what. */
  owned?: boolean | undefined;
  /** Of the last write that had one, unless the destination was written to since. */
  digest: string | undefined;
  /** Somebody else wrote there since this sink was opened: it may not hold what was confirmed. */
  isTouched?: boolean;
  /** It takes messages and never changes them: what was confirmed was sent, and how many rows that makes is for those to know who read it. */
  isLog?: boolean;
}

export interface ProbeResult {
  /** What was verified, for the condition's message. */
  message: string;
  /** The first export makes it untrue: something is missing that it creates. */
  isPassing?: boolean;
}

/** A row that a destination holds. */
export interface HeldRow {
  key: RowKey;
  kind: string;
  /** Of the collected object. */
  namespace: string;
  name: string;
  /** As in `ExportRow`; undefined where the destination does not keep it. */
  hash: string | undefined;
}

/** An open destination. All methods throw `KollectError`; `signal` cancels what is in flight. */
export interface Sink {
  /** Verifies what an export will need, without a write. */
  probe(signal: AbortSignal): Promise<ProbeResult>;
  /**
   * O(1) for the engine: one question whose answer differs when somebody else changed the destination. With `counts` the rows are counted however many
   * they are, which may take seconds.
   */
  check(identity: InventoryIdentity, signal: AbortSignal, counts?: boolean): Promise<CheckResult>;
  /**
   * Which of these rows, at most some thousand, the destination does not hold as they are: others in their place, or none. Reads, and holds nobody
   * up. Absent: it cannot be asked about rows.
   */
  differing?(identity: InventoryIdentity, rows: readonly ExportRow[], signal: AbortSignal): Promise<readonly ExportRow[]>;
  /** All rows that the destination holds of the inventory, for people who want to know what an export would change. Reads only. Absent: it cannot tell. */
  held?(identity: InventoryIdentity, signal: AbortSignal): AsyncIterable<HeldRow>;
  /** Returns once the destination confirmed. An error means an unknown outcome: the engine repeats. */
  write(change: SinkChange, signal: AbortSignal): Promise<WriteResult>;
  /**
   * Removes everything of this inventory and cluster; an absent destination is success. What this installation is not known to have written stays: the
   * destination says so where it can tell whose rows are whose, elsewhere, or when its record was lost, `isOwn` does.
   */
  remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }>;
  close(): Promise<void>;
}

/** Values read from Secrets; prints as `***`. */
export interface SecretValues {
  /** First non-blank value among the keys, trimmed, or undefined. */
  first(...keys: string[]): string | undefined;
  /** As `first`; throws `KOL_SINK_SECRET_KEY` with the names of the Secret and of the accepted keys when there is none. */
  require(...keys: string[]): string;
  /** All keys that are not blank, with their values, trimmed. */
  entries(): readonly (readonly [key: string, value: string])[];
  /** All values to be hidden, for the sanitizer only. The name of a user is none: it may be a word of any message, and URLs are shown without it. */
  values(): readonly string[];
}

export interface CheckedAddress {
  /** A numeric address: dial this, never the name. */
  host: string;
  port: number;
  /** The host as it was written, for TLS. */
  servername: string;
  /** Further checked addresses of the same name, to be tried in this order when `host` does not answer. */
  others: readonly string[];
}

/** The address guard. A client that dials anything that did not come from here is a defect. */
export interface Dialer {
  /**
   * Resolves `host:port` anew to addresses that were all checked. Throws `KOL_SINK_ADDRESS` when one of them is refused and
   * `KOL_SINK_UNAVAILABLE` when the name has none. With `as`, messages call the host that, and do not show it.
   */
  resolve(host: string, port: number, as?: string): Promise<CheckedAddress>;
}

/** What sinks of the same destination and credentials share, such as a connection pool. */
export interface SharedResources {
  /** Gives the resource of `key`, made by `create` when there is none. Closed when the last lease was released. */
  lease<T extends { close(): Promise<void> }>(key: string, create: () => T): { value: T; release(): Promise<void> };
}

/** Processes of one installation lead one after the other, and are numbered. A destination that keeps the number refuses what comes late. */
export interface LeaderEpoch {
  /** Of this process; higher than those of all leaders before. */
  current(): number;
  /** The destination knows of a higher one. If this process does lead, its own will be higher soon. */
  outrank(epoch: number): void;
}

export interface OpenContext<Spec> {
  /** The parsed spec of the sink object. */
  spec: Spec;
  /** `<namespace>/<name>` of the sink object, for messages and application names. */
  name: string;
  secrets: SecretValues;
  /** Of `Backend.otherSecretRefs`, by the same names. */
  otherSecrets: Readonly<Record<string, SecretValues>>;
  /** PEM of trusted authorities, when the sink names some. */
  ca: string | undefined;
  /** PEM of certificate and key to identify ourselves with, when the sink names them. */
  clientCertificate: { cert: string; key: string } | undefined;
  dialer: Dialer;
  shared: SharedResources;
  /**
   * To be called right before each commit: throws unless this process remains the leader for so many milliseconds. Another leader may
   * write from then on.
   */
  fence: (ms: number) => void;
  /** Undefined when this process is the only one. */
  epoch: LeaderEpoch | undefined;
  /** Uid of this installation, which owns what it writes; undefined when it is not known. */
  installation: string | undefined;
}

/** Facts about a backend that the engine, admission and documentation read as data. */
export interface Capabilities {
  /** Row sinks take partly synced inventories, and after a first pass changes. Whole documents wait for all targets, and then get all rows each time. */
  granularity: 'row' | 'document';
  /** Passes in flight at one server. */
  concurrency: number;
}

/** An inventory that is made up, for previews. */
export interface PreviewSample {
  identity: InventoryIdentity;
  /** Some of its rows. */
  rows: readonly ExportRow[];
  /** What all of them amount to. */
  after: SnapshotState;
  exportedAt: Date;
  /** `<namespace>/<name>` of the sink. */
  sink: string;
}

/** What is told of a sink of one type; the rest of a preview is the same for all. */
export type BackendPreview = Omit<SinkPreview, 'renderedAt' | 'inputSampleSource' | 'provisioningMode' | 'serializationFormat'>;

export interface Backend<Spec = unknown> {
  type: string;
  family: SinkFamily;
  capabilities: Capabilities;
  /** Where it follows from the settings of a sink; that of the capabilities when absent. */
  granularity?(spec: Spec): Capabilities['granularity'];
  /**
   * The parsed destination (host, database, table …) without credentials. A cursor is only good for the destination it was gained at.
   */
  destination(context: OpenContext<Spec>): string;
  /** What of the destination may be shown, such as `table "public"."items"`: nothing that a Secret holds. */
  place(context: OpenContext<Spec>): string;
  /** The parsed server or part of it whose sessions all passes share, and which is down for all of them. */
  server(context: OpenContext<Spec>): string;
  /** Secret that the backend reads, with the namespace still optional. Undefined: none. */
  secretRef(spec: Spec): { name: string; namespace?: string | undefined } | undefined;
  /** Further Secrets, each under a name of the backend's own. */
  otherSecretRefs?(spec: Spec): Readonly<Record<string, { name: string; namespace?: string | undefined }>>;
  /**
   * What a former leader sent, or had under way, never comes after what a later one wrote: the destination sees to that. Otherwise only the clock of the former
   * leader does, and a leader that did not get its lease handed over compares once more.
   */
  refusesLateWrites(context: OpenContext<Spec>): boolean;
  open(context: OpenContext<Spec>): Promise<Sink>;
  /**
   * What an export of the sample would write and create, made by the code that does it, of the spec alone: no Secret is read and nothing dialled. Equal for equal
   * input.
   */
  preview(spec: Spec, sample: PreviewSample): Promise<BackendPreview>;
}

/** Who wants to write to a destination, and how much. */
export interface PassRequest {
  /** Inventories take turns. */
  inventory: string;
  /** The inventory's reference to the sink; its failures are its own. */
  binding: string;
  /** `full`: the cost follows the inventory. Deltas go first. */
  mode: 'delta' | 'full';
  /** Ends the waiting. */
  signal: AbortSignal;
  /** Called when somebody else found the destination not available, and the turn comes later for that. */
  held?: ((error: KollectError) => void) | undefined;
}

/** What stands in front of one destination, for all who write to it. */
export interface PassQueue {
  /**
   * Runs `work`, which says whether the destination answered, when its turn has come. After a failure, the next turn of whom it
   * concerns comes after a while, so callers repeat at once. Work that takes long says that it `answered` as soon as it did.
   */
  pass(request: PassRequest, work: (answered: () => void) => Promise<boolean>): Promise<void>;
  /** Forgets the failures of a binding that is gone, or writes elsewhere. */
  forget(binding: string): void;
  /** As `forget`, and ends the waiting for the destination to come back: the cause may have been mended. */
  release(binding: string): void;
}
