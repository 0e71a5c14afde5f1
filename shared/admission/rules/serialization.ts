import { notSupported } from '../finding.ts';
import type { Finding } from '../finding.ts';

/** A format that the type of sink can write. What is no format at all is left to the schema. */
export function* serializationFormat(format: string | undefined, supported: readonly string[]): Generator<Finding> {
  if (format !== undefined && format !== 'json' && !supported.includes(format)) yield notSupported('spec.serialization.format', format, supported);
}
