import type { compressions } from '../api/sink-common.ts';
import { sinkTypeFacts, type SerializationFormat } from '../api/sink-types.ts';

export type Compression = (typeof compressions)[number];

export interface Serialization {
  format: SerializationFormat;
  compression: Compression;
}

/** The fields of a sink that say how it writes. */
export interface SerializedSpec {
  type?: string | undefined;
  serialization?: Partial<{ [Field in keyof Serialization]: Serialization[Field] | undefined }> | undefined;
  objectStore?: { format?: SerializationFormat | undefined } | undefined;
}

/** The format and compression in effect: what the sink says, by the newer field before the older one, else what its type writes. */
export function serializationOf({ type, serialization, objectStore }: SerializedSpec): Serialization {
  const facts = sinkTypeFacts(type);
  const older = facts?.block === 'objectStore' ? objectStore?.format : undefined;
  return { format: serialization?.format ?? older ?? facts?.formats[0] ?? 'json', compression: serialization?.compression ?? 'none' };
}

/**
 * What the name of a file ends in. Parquet is compressed within, which its name does not show.
 *
 * @example extensionOf({ format: 'csv', compression: 'gzip' }) // '.csv.gz'
 */
export function extensionOf({ format, compression }: Serialization): string {
  return `.${format}${format === 'parquet' ? '' : suffixes[compression]}`;
}

const suffixes: Readonly<Record<Compression, string>> = { none: '', gzip: '.gz', snappy: '', zstd: '.zst' };
