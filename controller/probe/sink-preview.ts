import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { SinkPreview } from '../../shared/api/sink-preview.ts';
import { KollectError } from '../../shared/errors.ts';
import { serializationOf } from '../../shared/layout/serialization.ts';
import type { AddressPolicy } from '../../shared/net/address-policy.ts';
import { checkObject } from '../object-check.ts';
import type { Backend } from '../sinks/contract.ts';
import { loadBackend } from '../sinks/registry.ts';
import type { SinkObject } from '../sinks/runtime/open-sink.ts';
import { previewSample } from './preview-sample.ts';

/** A status is for people, and small. */
const most = { characters: 4_096, entries: 20 };

export interface PreviewOptions {
  policy: AddressPolicy;
  /** Finds the backend of a type; the registry when unset. */
  load?: ((type: string) => Promise<Backend>) | undefined;
}

/**
 * What `status.preview` says of a sink, but for when it was rendered. Reads the spec and nothing else; equal specs have equal previews. Never throws: what keeps it
 * from being rendered is one of its warnings.
 */
export async function renderPreview(kind: string, raw: KubeObject, { policy, load = loadBackend }: PreviewOptions): Promise<Omit<SinkPreview, 'renderedAt'>> {
  const { object, message } = checkObject<SinkObject>(kind, raw, policy);
  if (!object) return bounded({ inputSampleSource: 'synthetic', warnings: [message] });
  const { spec, metadata } = object;
  const provisioningMode = (spec['provisioning'] as { mode?: string } | undefined)?.mode ?? 'ensure';
  const common = { inputSampleSource: 'synthetic', provisioningMode, serializationFormat: serializationOf(spec).format };
  const advice = provisioningMode === 'existing' ? ['spec.provisioning.mode is existing: Kollect creates nothing, and what it writes to must be there'] : [];
  const sample = previewSample(`${metadata.namespace ?? ''}/${metadata.name}`, spec);
  const { warnings = [], ...own } = await load(spec.type)
    .then((backend) => backend.preview(spec, sample))
    .catch((error: unknown) => ({ warnings: [error instanceof KollectError ? error.message : String(error)] }));
  const all = [...advice, ...warnings];
  return bounded({ ...common, ...own, ...(all.length > 0 && { warnings: all }) });
}

/** Nothing of it is longer than a status should be. */
function bounded<T>(value: T): T {
  if (typeof value === 'string') return (value.length > most.characters ? `${value.slice(0, most.characters - 1).toWellFormed()}…` : value) as T;
  if (Array.isArray(value)) return value.slice(0, most.entries).map(bounded) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, entry]) => (entry === undefined ? [] : [[key, bounded(entry)]]))) as T;
}
