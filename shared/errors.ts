/** How an error is treated: `terminal` needs a human, `transient` is retried with backoff, `row` concerns one row only. */
export type ErrorClass = 'terminal' | 'transient' | 'row';

interface CatalogueEntry {
  class: ErrorClass;
  /** Reason shown in conditions and events. */
  reason: string;
  /** What happened, for the documentation table. */
  summary: string;
  /** What the reader should do. */
  action: string;
}

/**
 * Every error that Kollect raises on purpose. `docs/errors.md` is generated from this table.
 * Codes read `KOL_<AREA>_<WHAT>`; keep them sorted.
 */
export const errorCatalogue = {
  KOL_ADMISSION_LOOKUP: {
    class: 'transient',
    reason: 'LookupFailed',
    summary: 'The webhook cannot know what it needs to judge an object: other objects of the cluster, or the rights of the user.',
    action: 'Apply the object again in a moment. If it stays, see the log and /readyz of the webhook, and its rights in the cluster.',
  },
  KOL_API_DURATION: {
    class: 'terminal',
    reason: 'InvalidSpec',
    summary: 'A duration is not written in the accepted form.',
    action: 'Write one or more numbers with a unit, such as 30s, 1h30m or 500ms.',
  },
  KOL_API_ENDPOINT: {
    class: 'terminal',
    reason: 'InvalidSpec',
    summary: 'The address of a sink is not written in a form that its type knows.',
    action: 'Write the address in the form that the message names.',
  },
  KOL_CONFIG_FLAG: {
    class: 'terminal',
    reason: 'InvalidFlags',
    summary: 'A flag of the command line is unknown or has a value that cannot be used.',
    action: 'Correct the flag that the message names; --help lists all flags.',
  },
  KOL_CONFIG_KUBECONFIG: {
    class: 'terminal',
    reason: 'InvalidKubeconfig',
    summary: 'The way to the API server cannot be read from the kubeconfig or the service account of the pod.',
    action: 'Correct what the message names, or name another file with --kubeconfig.',
  },
  KOL_EXPORT_INPUT: {
    class: 'terminal',
    reason: 'InvalidInput',
    summary: 'What kollect export is given cannot be read, or lacks what an export needs.',
    action: 'Correct what the message names, or give the objects that it misses.',
  },
  KOL_EXTRACT_CEL: {
    class: 'terminal',
    reason: 'InvalidProfile',
    summary: 'A CEL expression does not compile.',
    action: 'Correct the expression of the attribute that the message names.',
  },
  KOL_EXTRACT_EVALUATE: {
    class: 'row',
    reason: 'PartialExtraction',
    summary: 'A path or expression could not be evaluated on one object.',
    action: 'Guard the expression with has(), or mark the attribute optional.',
  },
  KOL_EXTRACT_PATH: {
    class: 'terminal',
    reason: 'InvalidProfile',
    summary: 'An attribute path is not valid.',
    action: 'Correct the path of the attribute that the message names.',
  },
  KOL_EXTRACT_SERIALIZE: {
    class: 'row',
    reason: 'PartialExtraction',
    summary: 'A collected value cannot be written as JSON.',
    action: 'Select a smaller part of the object, or mark the attribute optional.',
  },
  KOL_EXTRACT_SIZE: {
    class: 'row',
    reason: 'PayloadTooLarge',
    summary: 'What is collected of one object is larger than a row may be. The row that it had stays.',
    action: 'Select less of the object, or prune more of it.',
  },
  KOL_INTERNAL: {
    class: 'transient',
    reason: 'Progressing',
    summary: 'Something failed that Kollect does not expect.',
    action: 'Report it with the log line that carries this code; it is retried meanwhile.',
  },
  KOL_LEADER_LOST: {
    class: 'transient',
    reason: 'Progressing',
    summary: 'This controller does not lead any more, or may not for as long as it takes to write. It has written nothing.',
    action: 'Nothing: another controller goes on. If it stays, look at the Lease that the message names, and whether the API server answers in time.',
  },
  KOL_SCOPE_LOOKUP: {
    class: 'transient',
    reason: 'ScopeLookupFailed',
    summary: 'The scopes that bound an inventory could not be read yet.',
    action: 'Nothing, if it passes; otherwise let the controller list and watch scopes.',
  },
  KOL_SCOPE_SINK: {
    class: 'terminal',
    reason: 'ScopeSinkDenied',
    summary: 'The scope does not allow the sink.',
    action: 'Use a sink that the scope allows, or ask its owner to add this one.',
  },
  KOL_SCOPE_SINK_NAMESPACE: {
    class: 'terminal',
    reason: 'SinkNamespaceDenied',
    summary: 'The cluster scope does not allow cluster inventories to name the namespace.',
    action: 'Use a sink of a namespace that the scope allows, or ask its owner to add this one.',
  },
  KOL_SINK_ADDRESS: {
    class: 'terminal',
    reason: 'ExportTerminal',
    summary: 'The sink points to an address that the address policy refuses.',
    action: 'Point the sink to an allowed address, or change the policy of the installation.',
  },
  KOL_SINK_AUTH: {
    class: 'terminal',
    reason: 'ExportTerminal',
    summary: 'The sink refused the login or lacks a privilege.',
    action: 'Correct the credentials in the Secret, or grant what the message names.',
  },
  KOL_SINK_BUSY: {
    class: 'transient',
    reason: 'Progressing',
    summary: 'The sink is there, and did not take this write: it took too long, or met the work of others.',
    action: 'Nothing, if it passes; otherwise do what the message says.',
  },
  KOL_SINK_CONFIG: {
    class: 'terminal',
    reason: 'ExportTerminal',
    summary: 'The settings of the sink cannot be used.',
    action: 'Correct the field that the message names.',
  },
  KOL_SINK_DESTINATION_LOST: {
    class: 'transient',
    reason: 'Progressing',
    summary: 'What was exported is not at the destination any more, such as a table that was dropped.',
    action: 'Nothing: the next pass creates it and writes everything.',
  },
  KOL_SINK_DISABLED: {
    class: 'terminal',
    reason: 'ExportUnavailable',
    summary: 'The type of the sink is switched off in this installation, or its client could not be loaded.',
    action: 'Name the type in --sinks of the controller, or use another one.',
  },
  KOL_SINK_FORBIDDEN: {
    class: 'transient',
    reason: 'SinkForbidden',
    summary: 'The controller may not read sinks of this kind.',
    action: 'Let the controller get, list and watch the resource that the message names.',
  },
  KOL_SINK_LOOKUP: {
    class: 'transient',
    reason: 'SinkLookupFailed',
    summary: 'The sinks of this kind have not been read yet.',
    action: 'Nothing, if it passes; otherwise look at what the API server answered.',
  },
  KOL_SINK_NOT_FOUND: {
    class: 'transient',
    reason: 'SinkNotFound',
    summary: 'An inventory names a sink that does not exist.',
    action: 'Create the sink in the namespace that the message names, or correct the reference.',
  },
  KOL_SINK_NOT_IMPLEMENTED: {
    class: 'terminal',
    reason: 'ExportUnavailable',
    summary: 'This version has no backend for the type of the sink.',
    action: 'Use another type, or upgrade.',
  },
  KOL_SINK_OWNER: {
    class: 'terminal',
    reason: 'ExportTerminal',
    summary: 'The rows in the way are somebody else\'s: another installation\'s under the same cluster and inventory, or another cluster\'s where the key of a table has no cluster.',
    action: 'Give each cluster a name of its own in `spec.cluster` of its sinks, and add `cluster` to the key of the table.',
  },
  KOL_SINK_REFUSED: {
    class: 'terminal',
    reason: 'ExportTerminal',
    summary: 'The sink takes no such write: a rule or a hook of the server refuses it.',
    action: 'Do what the message says, or ask who keeps the server.',
  },
  KOL_SINK_ROW: {
    class: 'row',
    reason: 'PartialExport',
    summary: 'The sink refused single rows because of their content.',
    action: 'Look at the keys that the message names.',
  },
  KOL_SINK_SCHEMA: {
    class: 'terminal',
    reason: 'ExportTerminal',
    summary: 'The destination exists but lacks what the export needs.',
    action: 'Create the table, column or key that the message names.',
  },
  KOL_SINK_SECRET: {
    class: 'transient',
    reason: 'SecretResolveFailed',
    summary: 'The Secret of the sink is missing.',
    action: 'Create the Secret that the message names, or correct the reference.',
  },
  KOL_SINK_SECRET_GRANT: {
    class: 'transient',
    reason: 'SecretResolveFailed',
    summary: 'The Secret of the sink lies in another namespace, and is granted to others only.',
    action: 'Add the namespace of the sink to the annotation kollect.dev/grant-to that the message names, or use a Secret of its own namespace.',
  },
  KOL_SINK_SECRET_KEY: {
    class: 'transient',
    reason: 'SecretResolveFailed',
    summary: 'The Secret of the sink holds none of the expected keys.',
    action: 'Add one of the keys that the message names.',
  },
  KOL_SINK_SECRET_UNREADABLE: {
    class: 'transient',
    reason: 'SecretResolveFailed',
    summary: 'The API server did not give the Secret of the sink.',
    action: 'Let the controller read the Secret that the message names.',
  },
  KOL_SINK_UNAVAILABLE: {
    class: 'transient',
    reason: 'SinkUnreachable',
    summary: 'The sink cannot be reached, or cannot take the write now.',
    action: 'Nothing, if it passes; otherwise look at the server that the message names.',
  },
  KOL_STATUS_WRITE: {
    class: 'transient',
    reason: 'Progressing',
    summary: 'The API server does not take the status of an inventory, which has to say that a sink is written to before it is. Sinks that keep a record of their own are written to all the same.',
    action: 'Nothing, if it passes; otherwise look at the API server, and whether the controller may patch the status of inventories.',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

export interface ErrorDetails {
  /** Overrides the class of the catalogue where one code covers both. */
  class?: ErrorClass;
  /** The server's own wish when to come back. */
  retryAfterMs?: number;
  cause?: unknown;
}

/**
 * An error with a code of the catalogue. Its message is shown to users: it says which thing failed and why, and never holds a secret.
 *
 * @example throw new KollectError('KOL_SINK_SECRET', 'secret "db" not found in namespace "team-a"')
 */
export class KollectError extends Error {
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'KollectError';
    this.code = code;
    this.class = details.class ?? errorCatalogue[code].class;
    this.reason = errorCatalogue[code].reason;
    this.retryAfterMs = details.retryAfterMs;
  }
}
