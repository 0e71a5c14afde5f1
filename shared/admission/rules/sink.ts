import { forbidden, warning } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { interval } from './durations.ts';
import { secretReference } from './names.ts';
import { backendOptions } from './options.ts';
import { pathTemplate } from './path-template.ts';
import { serializationFormat } from './serialization.ts';
import { tlsSettings } from './tls-settings.ts';

type SecretRef = { readonly name?: string | undefined; readonly namespace?: string | undefined };

/** What sinks of all families have in common. */
interface LooseSinkSpec {
  readonly type?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly secretRef?: SecretRef | undefined;
  readonly tls?: Parameters<typeof tlsSettings>[1];
  readonly pathTemplate?: string | undefined;
  readonly exportMinInterval?: string | undefined;
  readonly serialization?: { readonly format?: string | undefined } | undefined;
  readonly layout?: unknown;
  readonly provisioning?: { readonly mode?: string | undefined; readonly naming?: { readonly template?: string | undefined } | undefined } | undefined;
  readonly options?: Readonly<Record<string, string | undefined>> | undefined;
}

/** What the rules need to know of a type of sink. */
export interface SinkTypeFacts {
  /** Formats it can write; `json` always passes. */
  formats: readonly string[];
  /** Keys of `options` that it reads. */
  options: readonly string[];
  /** Whether it lays out files, as git does. */
  hasLayout: boolean;
}

/** The fields that sinks of all families share. Without a valid type, what depends on it is not judged. */
export function* sink(spec: LooseSinkSpec, facts: SinkTypeFacts | undefined): Generator<Finding> {
  yield* endpointWithoutPassword('spec.endpoint', spec.endpoint);
  yield* secretReference('spec.secretRef', spec.secretRef);
  yield* tlsSettings('spec.tls', spec.tls);
  yield* pathTemplate('spec.pathTemplate', spec.pathTemplate);
  yield* interval('spec.exportMinInterval', spec.exportMinInterval);
  yield* pathTemplate('spec.provisioning.naming.template', spec.provisioning?.naming?.template);
  yield* backendOptions('spec.options', spec.options, spec.type ?? 'this sink', facts?.options);
  if (spec.provisioning?.mode === 'existing') yield warning('spec.provisioning.mode', 'existing: Kollect creates nothing; the connection test says what the destination lacks');
  if (facts === undefined) return;
  yield* serializationFormat(spec.serialization?.format, facts.formats);
  if (spec.layout !== undefined && !facts.hasLayout) yield forbidden('spec.layout', `only sinks of the types git and gitlab have a layout, not ${spec.type}`);
}

function* endpointWithoutPassword(field: string, endpoint: string | undefined): Generator<Finding> {
  if (endpoint !== undefined && /:\/\/[^\s/@:]*:[^\s/]*@/.test(endpoint)) yield forbidden(field, 'the URL holds a password; put it into a Secret and name that in secretRef');
}

/**
 * The block of the sink's type has to be there, and blocks of other types must not: they would be settings without effect.
 *
 * @param blocks the block of each type of the family
 */
export function* typeBlocks(type: string, blocks: Readonly<Record<string, unknown>>, missing: (field: string) => Finding): Generator<Finding> {
  for (const [name, block] of Object.entries(blocks)) {
    if (name === type && block === undefined) yield missing(`spec.${name}`);
    else if (name !== type && block !== undefined) yield forbidden(`spec.${name}`, `the type of this sink is ${type}; remove the block, or set the type to ${name}`);
  }
}
