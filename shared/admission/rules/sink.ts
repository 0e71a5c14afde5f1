import { forbidden, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
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
export function sink(spec: LooseSinkSpec, facts: SinkTypeFacts | undefined, report: Report): void {
  endpointWithoutPassword('spec.endpoint', spec.endpoint, report);
  secretReference('spec.secretRef', spec.secretRef, report);
  tlsSettings('spec.tls', spec.tls, report);
  pathTemplate('spec.pathTemplate', spec.pathTemplate, report);
  interval('spec.exportMinInterval', spec.exportMinInterval, report);
  pathTemplate('spec.provisioning.naming.template', spec.provisioning?.naming?.template, report);
  backendOptions('spec.options', spec.options, spec.type ?? 'this sink', facts?.options, report);
  if (spec.provisioning?.mode === 'existing') report(warning('spec.provisioning.mode', 'existing: Kollect creates nothing; the connection test says what the destination lacks'));
  if (facts === undefined) return;
  serializationFormat(spec.serialization?.format, facts.formats, report);
  if (spec.layout !== undefined && !facts.hasLayout) report(forbidden('spec.layout', `only sinks of the types git and gitlab have a layout, not ${spec.type}`));
}

function endpointWithoutPassword(field: string, endpoint: string | undefined, report: Report): void {
  if (endpoint !== undefined && /:\/\/[^\s/@:]*:[^\s/]*@/.test(endpoint)) report(forbidden(field, 'the URL holds a password; put it into a Secret and name that in secretRef'));
}

/**
 * The block of the sink's type has to be there, and blocks of other types must not: they would be settings without effect.
 *
 * @param blocks the block of each type of the family
 */
export function typeBlocks(type: string, blocks: Readonly<Record<string, unknown>>, report: Report): void {
  for (const [name, block] of Object.entries(blocks)) {
    if (name === type && block === undefined) report(required(`spec.${name}`, `a sink of the type ${type} needs this block`));
    else if (name !== type && block !== undefined) report(forbidden(`spec.${name}`, `the type of this sink is ${type}; remove the block, or set the type to ${name}`));
  }
}
