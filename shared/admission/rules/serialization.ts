import { compressions } from '../../api/sink-common.ts';
import { sinkTypeFacts } from '../../api/sink-types.ts';
import { serializationOf } from '../../layout/serialization.ts';
import { invalid, notSupported } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { RuleInput } from '../rule.ts';
import type { SinkSpec } from './sink.ts';

/** A format that the type of sink can write; `json` always is. What is no format at all is left to the schema. */
export function serializationFormat({ spec }: RuleInput<SinkSpec>, report: Report): void {
  const { formats } = sinkTypeFacts(spec.type) ?? {};
  const format = spec.serialization?.format;
  if (formats !== undefined && format !== undefined && format !== 'json' && !formats.includes(format)) report(notSupported('spec.serialization.format', format, formats));
}

/** A compression that the type of sink can write, in the format that is written. What is no compression at all is left to the schema. */
export function serializationCompression({ spec }: RuleInput<SinkSpec>, report: Report): void {
  const supported = sinkTypeFacts(spec.type)?.compressions;
  const compression = spec.serialization?.compression;
  if (supported === undefined || compression === undefined || !compressions.includes(compression)) return;
  const field = 'spec.serialization.compression';
  if (!supported.includes(compression)) return report(notSupported(field, compression, supported));
  const { format } = serializationOf(spec);
  if (compression === 'snappy' && format !== 'parquet') report(invalid(field, compression, `is for parquet, and the format is ${format}; write gzip or zstd`));
}
