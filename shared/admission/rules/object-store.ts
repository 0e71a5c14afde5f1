import type { KollectSnapshotSinkSpec } from '../../api/kollect-snapshot-sink.ts';
import { objectStoreOptionForms } from '../../api/sinks/object-store.ts';
import { invalid } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { optionForms } from './options.ts';

export const objectStoreRules: readonly Rule<KollectSnapshotSinkSpec>[] = [
  { id: 'object-store-options', field: 'spec.options', asks: 'How objects are stored must be something that the store knows.', check: options },
];

function options({ spec }: RuleInput<KollectSnapshotSinkSpec>, report: Report): void {
  const { type } = spec;
  if (type !== 's3' && type !== 'gcs' && type !== 'azureblob') return;
  optionForms(spec, objectStoreOptionForms[type], report);
  const { sse = '', sseKmsKeyId = '' } = spec.options ?? {};
  if (type === 's3' && sseKmsKeyId.trim() !== '' && sse.trim() === 'AES256') report(invalid('spec.options[sse]', sse, 'has no key of its own; write aws:kms, or remove sseKmsKeyId'));
}
