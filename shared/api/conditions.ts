/** Types of conditions. */
export const conditionTypes = {
  /** The object does what it is for. False whenever it is degraded, never absent. */
  Ready: 'Ready',
  /** What the object produces is up to date. */
  Synced: 'Synced',
  /** Something needs attention; the reason says what. */
  Degraded: 'Degraded',
  /** The sinks that the object depends on exist and answer. */
  SinkReachable: 'SinkReachable',
  /** The last export was confirmed; an older name of Synced, kept for scripts. */
  ExportSucceeded: 'ExportSucceeded',
  /** The last connection test of a sink succeeded. */
  ConnectionVerified: 'ConnectionVerified',
  /** What a profile is for can be collected. */
  ProfileVerified: 'ProfileVerified',
  /** The certificate of the server is not verified. */
  TLSInsecure: 'TLSInsecure',
} as const;
export type ConditionType = keyof typeof conditionTypes;

/** Reasons of conditions, and of the events that tell the same. */
export const reasons = {
  /** Whether the controller may watch a kind could not be asked. */
  AccessCheckFailed: 'AccessCheckFailed',
  /** The first complete list since the start is outstanding; nothing is deleted before. */
  AwaitingSync: 'AwaitingSync',
  /** Cleaning up needs a human: the sink refuses it. */
  CleanupTerminal: 'CleanupTerminal',
  /** Objects are being watched and kept as rows. */
  Collecting: 'Collecting',
  /** The destination answered, and allows what an export needs. */
  ConnectionOK: 'ConnectionOK',
  /** The destination did not answer, refused, or lacks something. */
  ConnectionTestFailed: 'ConnectionTestFailed',
  /** The controller ended three times in a row during the first list of the target, which needs a human. */
  CrashLoop: 'CrashLoop',
  /** The sink is up to date and was not written to in this pass. */
  Debounced: 'Debounced',
  /** A pass would remove more than a safe share of the rows; it waits for consent. */
  DeletionHeld: 'DeletionHeld',
  /** An export failed and is tried again. */
  ExportFailed: 'ExportFailed',
  /** The last export succeeded. */
  ExportSucceeded: 'ExportSucceeded',
  /** An export failed and needs a human. */
  ExportTerminal: 'ExportTerminal',
  /** The backend of the sink is disabled, or cannot be loaded. */
  ExportUnavailable: 'ExportUnavailable',
  /** Every sink holds every row. */
  Exported: 'Exported',
  /** No object could be extracted. */
  ExtractionFailed: 'ExtractionFailed',
  /** The resource cannot be listed and watched. */
  InformerRegistrationFailed: 'InformerRegistrationFailed',
  /** The certificate of the server is not verified, as the sink asks. */
  InsecureSkipVerify: 'InsecureSkipVerify',
  /** The profile breaks a rule that admission would have refused. */
  InvalidProfile: 'InvalidProfile',
  /** The reference of a connection test does not name exactly one sink. */
  InvalidSinkRef: 'InvalidSinkRef',
  /** The object breaks a rule that admission would have refused. */
  InvalidSpec: 'InvalidSpec',
  /** The target names no profile. */
  MissingProfileRef: 'MissingProfileRef',
  /** No sink is referenced; rows are collected only. */
  NoExport: 'NoExport',
  /** The inventory references no sink. */
  NoSinksConfigured: 'NoSinksConfigured',
  /** No inventory of the namespace references a sink. */
  NoSinksInNamespace: 'NoSinksInNamespace',
  /** No cluster target matches. */
  NoTargets: 'NoTargets',
  /** A sink refused single rows because of their content; all others were written. */
  PartialExport: 'PartialExport',
  /** Some attributes could not be extracted and are null. */
  PartialExtraction: 'PartialExtraction',
  /** Some sinks were exported to, others were not. */
  PartiallySynced: 'PartiallySynced',
  /** One row is larger than its sink takes, or what is collected of an object is larger than a row may be. */
  PayloadTooLarge: 'PayloadTooLarge',
  /** The connection test succeeded. */
  ProbeSucceeded: 'ProbeSucceeded',
  /** The profile may not be used from here. */
  ProfileForbidden: 'ProfileForbidden',
  /** The profile does not exist. */
  ProfileNotFound: 'ProfileNotFound',
  /** The kind of the profile is served, and the controller may list and watch it. */
  ProfileOK: 'ProfileOK',
  /** It is being worked on. */
  Progressing: 'Progressing',
  /** A limit of rows or bytes is reached; known objects go on while they grow no larger, new ones are left out. */
  QuotaExceeded: 'QuotaExceeded',
  /** Rows of cluster targets are rolled up; no sink is referenced. */
  RolledUp: 'RolledUp',
  /** Some namespaces may not be read; the others are collected. */
  ScopeForbidden: 'ScopeForbidden',
  /** The scope does not allow the kind. */
  ScopeGVKDenied: 'ScopeGVKDenied',
  /** The scope could not be read. */
  ScopeLookupFailed: 'ScopeLookupFailed',
  /** The scope does not allow the namespace. */
  ScopeNamespaceDenied: 'ScopeNamespaceDenied',
  /** The scope does not allow the sink. */
  ScopeSinkDenied: 'ScopeSinkDenied',
  /** A Secret, or a key in it, is missing. */
  SecretResolveFailed: 'SecretResolveFailed',
  /** The sink may not be read. */
  SinkForbidden: 'SinkForbidden',
  /** Whether the sink exists could not be read. */
  SinkLookupFailed: 'SinkLookupFailed',
  /** Cluster kinds may not use sinks of that namespace. */
  SinkNamespaceDenied: 'SinkNamespaceDenied',
  /** The sink does not exist. */
  SinkNotFound: 'SinkNotFound',
  /** The sink does not answer or takes no writes, or its last connection test failed. */
  SinkUnreachable: 'SinkUnreachable',
  /** All sinks exist, and none failed its last connection test. */
  SinksReachable: 'SinksReachable',
  /** `spec.suspend` is set. */
  Suspended: 'Suspended',
  /** A target is not ready; its rows are exported, and none of them deleted. */
  TargetDegraded: 'TargetDegraded',
} as const;
export type Reason = keyof typeof reasons;

/** The reasons that a condition can have, by its status. */
export interface ConditionReasons {
  readonly True?: readonly Reason[];
  readonly False?: readonly Reason[];
  readonly Unknown?: readonly Reason[];
}

/** The conditions of a kind. A condition that is not applicable is absent. */
export type ConditionSet = Readonly<Partial<Record<ConditionType, ConditionReasons>>>;

const probeFailures = ['ConnectionTestFailed', 'ExportUnavailable', 'InvalidSpec', 'SecretResolveFailed'] as const satisfies readonly Reason[];
const testFailures = ['ConnectionTestFailed', 'ExportUnavailable', 'InvalidSinkRef', 'InvalidSpec', 'SecretResolveFailed', 'SinkForbidden', 'SinkNotFound'] as const satisfies readonly Reason[];
const profileFailures = ['AccessCheckFailed', 'InformerRegistrationFailed', 'InvalidProfile', 'ProfileNotFound'] as const satisfies readonly Reason[];

const collectionFailures = [
  'AccessCheckFailed',
  'CrashLoop',
  'ExtractionFailed',
  'InformerRegistrationFailed',
  'InvalidProfile',
  'InvalidSpec',
  'PayloadTooLarge',
  'ProfileNotFound',
  'QuotaExceeded',
  'ScopeGVKDenied',
  'ScopeLookupFailed',
  'ScopeNamespaceDenied',
  'Suspended',
] as const satisfies readonly Reason[];
const targetFailures = [...collectionFailures, 'MissingProfileRef'] as const;
const clusterTargetFailures = [...collectionFailures, 'ProfileForbidden'] as const;

const exportFailures = [
  'CleanupTerminal',
  'DeletionHeld',
  'ExportTerminal',
  'ExportUnavailable',
  'InvalidSpec',
  'PayloadTooLarge',
  'Progressing',
  'ScopeLookupFailed',
  'ScopeSinkDenied',
  'SecretResolveFailed',
  'SinkForbidden',
  'SinkLookupFailed',
  'SinkNotFound',
  'SinkUnreachable',
  'Suspended',
  'TargetDegraded',
] as const satisfies readonly Reason[];
const clusterExportFailures = [...exportFailures, 'NoTargets', 'SinkNamespaceDenied'] as const;

const sink: ConditionSet = {
  ConnectionVerified: { True: ['ConnectionOK'], False: probeFailures },
  Degraded: { True: probeFailures, False: ['ConnectionOK'] },
  TLSInsecure: { True: ['InsecureSkipVerify'] },
};

const sinkReachable = (failures: readonly Reason[]): ConditionReasons => ({
  True: ['ExportSucceeded', 'NoSinksConfigured', 'SinksReachable'],
  False: [...failures, 'ExportFailed'],
  // Nothing is exported, so nobody knows.
  Unknown: ['AwaitingSync', ...failures],
});

/** The conditions of each kind that has some, and of the entries of `status.sinkExports`. */
export const conditions = {
  KollectSnapshotSink: sink,
  KollectDatabaseSink: sink,
  KollectEventSink: sink,
  KollectConnectionTest: {
    ConnectionVerified: { True: ['ConnectionOK'], False: testFailures, Unknown: ['Progressing'] },
    ProfileVerified: { True: ['ProfileOK'], False: profileFailures },
    Ready: { True: ['ProbeSucceeded'], False: [...testFailures, ...profileFailures], Unknown: ['Progressing'] },
  },
  KollectTarget: {
    Ready: { True: ['Collecting'], False: ['AwaitingSync', ...targetFailures] },
    Synced: { True: ['Collecting', 'PartialExtraction', 'ScopeForbidden'], False: ['AwaitingSync', ...targetFailures] },
    SinkReachable: { True: ['NoSinksInNamespace', 'SinksReachable'], False: ['SinkForbidden', 'SinkLookupFailed', 'SinkNotFound', 'SinkUnreachable'] },
    Degraded: { True: targetFailures, False: ['AwaitingSync', 'Collecting'] },
  },
  KollectClusterTarget: {
    Ready: { True: ['Collecting'], False: ['AwaitingSync', ...clusterTargetFailures] },
    Synced: { True: ['Collecting', 'PartialExtraction', 'ScopeForbidden'], False: ['AwaitingSync', ...clusterTargetFailures] },
    Degraded: { True: clusterTargetFailures, False: ['AwaitingSync', 'Collecting'] },
  },
  KollectInventory: {
    Ready: { True: ['Exported', 'NoExport', 'PartiallySynced'], False: ['AwaitingSync', ...exportFailures] },
    Synced: { True: ['Exported', 'NoExport'], False: ['AwaitingSync', 'PartialExport', 'PartiallySynced', ...exportFailures] },
    SinkReachable: sinkReachable(exportFailures),
    Degraded: { True: exportFailures, False: ['AwaitingSync', 'Exported', 'NoExport', 'PartiallySynced'] },
  },
  KollectClusterInventory: {
    Ready: { True: ['Exported', 'PartiallySynced', 'RolledUp'], False: ['AwaitingSync', ...clusterExportFailures] },
    Synced: { True: ['Exported', 'RolledUp'], False: ['AwaitingSync', 'PartialExport', 'PartiallySynced', ...clusterExportFailures] },
    ExportSucceeded: { True: ['Exported', 'PartiallySynced'], False: clusterExportFailures },
    SinkReachable: sinkReachable(clusterExportFailures),
    Degraded: { True: clusterExportFailures, False: ['AwaitingSync', 'Exported', 'PartiallySynced', 'RolledUp'] },
  },
  sinkExports: {
    Synced: { True: ['Exported'], False: ['AwaitingSync', 'Debounced', 'DeletionHeld', 'ExportFailed', 'PartialExport'] },
  },
} as const satisfies Readonly<Record<string, ConditionSet>>;
