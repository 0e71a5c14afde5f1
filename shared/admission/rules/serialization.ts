import { notSupported } from '../finding.ts';
import type { Report } from '../finding.ts';

/** A format that the type of sink can write. What is no format at all is left to the schema. */
export function serializationFormat(format: string | undefined, supported: readonly string[], report: Report): void {
  if (format !== undefined && format !== 'json' && !supported.includes(format)) report(notSupported('spec.serialization.format', format, supported));
}
