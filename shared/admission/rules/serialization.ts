import { sinkTypeFacts } from '../../api/sink-types.ts';
import { notSupported } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { RuleInput } from '../rule.ts';
import type { SinkSpec } from './sink.ts';

/** A format that the type of sink can write; `json` always is. What is no format at all is left to the schema. */
export function serializationFormat({ spec }: RuleInput<SinkSpec>, report: Report): void {
  const { formats } = sinkTypeFacts(spec.type) ?? {};
  const format = spec.serialization?.format;
  if (formats !== undefined && format !== undefined && format !== 'json' && !formats.includes(format)) report(notSupported('spec.serialization.format', format, formats));
}
