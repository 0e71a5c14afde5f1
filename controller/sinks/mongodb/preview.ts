import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import type { BackendPreview } from '../contract.ts';
import { keyFields } from './documents.ts';
import { readCollection } from './settings.ts';

/** The index that an export creates; under `existing`, the one that must be there. */
export function previewCollection(spec: KollectDatabaseSinkSpec): BackendPreview {
  const { title } = readCollection(spec);
  return { mongodb: { expectedIndexKeys: [...keyFields] }, warnings: [`documents go to ${title}`] };
}
