import type { z } from 'zod';
import { annotations } from '../../api/annotations.ts';
import type { sinkCommonFields } from '../../api/sink-common.ts';
import type { SinkFamily } from '../../api/sink-ref.ts';
import { sinkTypeFacts, sinkTypes } from '../../api/sink-types.ts';
import type { SinkType } from '../../api/sink-types.ts';
import { forbidden, invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { annotationRule } from './annotations.ts';
import { interval } from './durations.ts';
import { credentials } from './endpoint.ts';
import { secretReference } from './names.ts';
import { optionRules } from './options.ts';
import { pathTemplateRules } from './path-template.ts';
import { serializationCompression, serializationFormat } from './serialization.ts';
import { tlsRules } from './tls-settings.ts';

/** What sinks of all families have in common. */
export type SinkSpec = { type: SinkType } & z.infer<z.ZodObject<typeof sinkCommonFields>>;

type Input = RuleInput<SinkSpec>;

/** The fields that sinks of all families share. Without a valid type, what depends on it is not judged. */
export const sinkRules: readonly Rule<SinkSpec>[] = [
  annotationRule({ [annotations.testConnection]: 'any', [annotations.preview]: 'true' }),
  { id: 'type-is-built', field: 'spec.type', asks: 'Types that this version does not export to yet are checked and kept.', advises: true, check: typeIsBuilt },
  { id: 'cluster-name', field: 'spec.cluster', asks: 'Must be one part of a path: without `/` and control characters, not beginning with `.`, at most 253 characters.', check: clusterName },
  { id: 'type-block', field: 'spec.<type>', asks: 'The block of the type must be there where the type needs it, and no other.', check: typeBlock },
  { id: 'endpoint-credentials', field: 'spec.endpoint', asks: 'Must hold no password, token or signature.', check: ({ spec }, report) => credentials('spec.endpoint', spec.endpoint, report) },
  { id: 'secret-ref', field: 'spec.secretRef', asks: 'Must name a Secret.', check: ({ spec }, report) => secretReference('spec.secretRef', spec.secretRef, report) },
  ...tlsRules,
  ...pathTemplateRules<SinkSpec>('path-template', 'spec.pathTemplate', (spec) => spec.pathTemplate),
  { id: 'export-min-interval', field: 'spec.exportMinInterval', asks: 'Must be a duration from 0s to 24h.', check: ({ spec }, report) => interval('spec.exportMinInterval', spec.exportMinInterval, report) },
  { id: 'serialization-format', field: 'spec.serialization.format', asks: 'Must be a format that the type can write.', check: serializationFormat },
  { id: 'serialization-compression', field: 'spec.serialization.compression', asks: 'Must be a compression that the type can write; snappy is for parquet.', check: serializationCompression },
  { id: 'layout', field: 'spec.layout', asks: 'Is for the types git and gitlab only.', check: layout },
  { id: 'provisioning-mode', field: 'spec.provisioning.mode', asks: 'With existing, Kollect creates nothing.', advises: true, check: provisioningMode },
  ...pathTemplateRules<SinkSpec>('naming-template', 'spec.provisioning.naming.template', (spec) => spec.provisioning?.naming?.template),
  ...optionRules,
];

function typeIsBuilt({ spec }: Input, report: Report): void {
  if (sinkTypeFacts(spec.type)?.isBuilt === false) report(warning('spec.type', `${spec.type} is checked and kept, but this version does not export to it: the connection test answers "not implemented"`));
}

export const clusterNameRule = 'must be one part of a path: without "/", "\\" and control characters, without blanks around it, not beginning with ".", at most 253 characters';

/** It stands in paths, in keys and in commit messages. */
function clusterName({ spec: { cluster } }: Input, report: Report): void {
  if (cluster === undefined || cluster === '') return;
  if (/[/\\\p{Cc}\p{Cf}]/u.test(cluster) || cluster.startsWith('.') || cluster !== cluster.trim() || cluster.length > 253) {
    report(invalid('spec.cluster', cluster, clusterNameRule));
  }
}

/** Blocks of other types would be settings without effect. */
function typeBlock({ kind, spec }: Input, report: Report): void {
  const facts = sinkTypeFacts(spec.type);
  if (facts === undefined) return;
  const own = spec as Readonly<Record<string, unknown>>;
  if (facts.isBlockRequired && own[facts.block] === undefined) report(required(`spec.${facts.block}`, `a sink of the type ${spec.type} needs this block`));
  for (const [block, types] of blocks[facts.family]) {
    if (block !== facts.block && own[block] !== undefined) report(forbidden(`spec.${block}`, `the type of this ${kind} is ${spec.type}; remove the block, or set the type to ${types.join(' or ')}`));
  }
}

/** The blocks of a family, each with the types that it is for. */
function blocksOf(family: SinkFamily): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [type, facts] of Object.entries(sinkTypes)) if (facts.family === family) found.set(facts.block, [...(found.get(facts.block) ?? []), type]);
  return found;
}

const blocks: Readonly<Record<SinkFamily, ReadonlyMap<string, readonly string[]>>> = { snapshot: blocksOf('snapshot'), database: blocksOf('database'), event: blocksOf('event') };

function layout({ spec }: Input, report: Report): void {
  if (spec.layout !== undefined && sinkTypeFacts(spec.type)?.hasLayout === false) report(forbidden('spec.layout', `only sinks of the types git and gitlab have a layout, not ${spec.type}`));
}

function provisioningMode({ spec }: Input, report: Report): void {
  if (spec.provisioning?.mode === 'existing') report(warning('spec.provisioning.mode', 'existing: Kollect creates nothing; the connection test says what the destination lacks'));
}

/**
 * A field that is set and does nothing on some sinks.
 *
 * @param why what counts in its place; undefined where the field has an effect
 */
export function effectless<Spec>(id: string, field: string, asks: string, why: (input: RuleInput<Spec>) => string | undefined): Rule<Spec> {
  const check = (input: RuleInput<Spec>, report: Report) => {
    const reason = why(input);
    if (reason !== undefined) report(warning(field, `has no effect: ${reason}`));
  };
  return { id, field, asks, advises: true, check };
}
