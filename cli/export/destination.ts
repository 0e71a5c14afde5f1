import { basename, dirname } from 'node:path';
import { KollectError } from '../../shared/errors.ts';
import type { Serialization } from '../../shared/layout/serialization.ts';

/** Where the rows go to. */
export type Destination =
  | { kind: 'stdout'; serialization: Serialization }
  | { kind: 'file'; folder: string; name: string; serialization: Serialization }
  | { kind: 'folder'; path: string; serialization: Partial<Serialization> };

export interface DestinationFlags {
  to: string;
  output: Serialization['format'] | undefined;
  compression: Serialization['compression'] | undefined;
}

/**
 * What `--to`, `--output` and `--compression` come to. A name that ends like a document is a file, any other a folder.
 *
 * @example destinationOf({ to: 'out/api.csv.gz', output: undefined, compression: undefined }) // file, CSV, gzip
 */
export function destinationOf({ to, output, compression }: DestinationFlags): Destination {
  if (to === '-') return { kind: 'stdout', serialization: checked(output ?? 'json', compression ?? 'none') };
  const [, name, suffix] = /\.(json|ndjson|yaml|yml|csv|parquet)(\.gz|\.zst)?$/i.exec(to) ?? [];
  if (name === undefined) return { kind: 'folder', path: to, serialization: { ...(output && { format: output }), ...(compression && { compression }) } };
  const format = (name.toLowerCase() === 'yml' ? 'yaml' : name.toLowerCase()) as Serialization['format'];
  const ofName = suffix === undefined ? undefined : suffix.toLowerCase() === '.gz' ? 'gzip' : 'zstd';
  if (output !== undefined && output !== format) throw new KollectError('KOL_CONFIG_FLAG', `--output ${output} and the name ${JSON.stringify(to)} do not fit together`);
  if (ofName !== undefined && compression !== undefined && compression !== ofName) throw new KollectError('KOL_CONFIG_FLAG', `--compression ${compression} and the name ${JSON.stringify(to)} do not fit together`);
  return { kind: 'file', folder: dirname(to), name: basename(to), serialization: checked(format, ofName ?? compression ?? 'none') };
}

function checked(format: Serialization['format'], compression: Serialization['compression']): Serialization {
  if (compression === 'snappy' && format !== 'parquet') throw new KollectError('KOL_CONFIG_FLAG', '--compression snappy is for Parquet; write gzip or zstd');
  return { format, compression };
}
