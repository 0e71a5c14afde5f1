import type { SinkFamily } from './sink-ref.ts';
import type { compressions, serializationFormats } from './sink-common.ts';
import type { databaseSinkTypes } from './kollect-database-sink.ts';
import type { eventSinkTypes } from './kollect-event-sink.ts';
import type { snapshotSinkTypes } from './kollect-snapshot-sink.ts';
import { bigqueryOptions } from './sinks/bigquery.ts';
import { gitOptions } from './sinks/git.ts';
import { httpOptions } from './sinks/http.ts';
import { kafkaOptions } from './sinks/kafka.ts';
import { mongodbOptions } from './sinks/mongodb.ts';
import { natsOptions } from './sinks/nats.ts';
import { azureblobOptions, gcsOptions, s3Options } from './sinks/object-store.ts';
import { postgresOptions } from './sinks/postgres.ts';

export type SinkType = (typeof snapshotSinkTypes)[number] | (typeof databaseSinkTypes)[number] | (typeof eventSinkTypes)[number];
export type SerializationFormat = (typeof serializationFormats)[number];

/** What the rules of admission, the CRDs and the documentation need to know of a type of sink. */
export interface SinkTypeFacts {
  family: SinkFamily;
  /** Field of the spec with its settings, and whether the type needs it. */
  block: string;
  isBlockRequired: boolean;
  /** Formats it can write, the one that is taken when none is named first. */
  formats: readonly [SerializationFormat, ...SerializationFormat[]];
  /** How it can compress what it writes. */
  compressions: readonly (typeof compressions)[number][];
  /** Keys of `options` that it reads. */
  options: readonly string[];
  /** Whether it lays out files. */
  hasLayout: boolean;
  /** Whether this version exports to it. */
  isBuilt: boolean;
}

const git = { family: 'snapshot', isBlockRequired: false, formats: ['yaml', 'json', 'ndjson'], compressions: ['none', 'gzip', 'zstd'], options: gitOptions, hasLayout: true, isBuilt: false } as const;
const objectStore = { family: 'snapshot', block: 'objectStore', isBlockRequired: false, formats: ['json', 'parquet', 'csv'], compressions: ['none', 'gzip', 'zstd', 'snappy'], hasLayout: false, isBuilt: false } as const;
const database = { family: 'database', isBlockRequired: true, formats: ['json'], compressions: ['none'], hasLayout: false } as const;
const events = { family: 'event', isBlockRequired: true, formats: ['json'], compressions: ['none'], hasLayout: false, isBuilt: false } as const;

/** One line a type. */
export const sinkTypes: Readonly<Record<SinkType, SinkTypeFacts>> = {
  git: { ...git, block: 'git', isBuilt: true },
  gitlab: { ...git, block: 'gitlab' },
  s3: { ...objectStore, options: s3Options },
  gcs: { ...objectStore, options: gcsOptions },
  azureblob: { ...objectStore, options: azureblobOptions },
  http: { family: 'snapshot', block: 'http', isBlockRequired: true, formats: ['json', 'ndjson'], compressions: ['none', 'gzip', 'zstd'], options: httpOptions, hasLayout: false, isBuilt: false },
  postgres: { ...database, block: 'postgres', options: postgresOptions, isBuilt: true },
  bigquery: { ...database, block: 'bigquery', options: bigqueryOptions, isBuilt: false },
  mongodb: { ...database, block: 'mongodb', options: mongodbOptions, isBuilt: false },
  kafka: { ...events, block: 'kafka', options: kafkaOptions },
  nats: { ...events, block: 'nats', options: natsOptions },
};

/** The facts of `spec.type`; undefined for what is no type. */
export function sinkTypeFacts(type: string | undefined): SinkTypeFacts | undefined {
  return type !== undefined && Object.hasOwn(sinkTypes, type) ? sinkTypes[type as SinkType] : undefined;
}
