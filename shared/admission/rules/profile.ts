import { allowFullResourceExport, allowSecretExtraction } from '../../api/annotations.ts';
import type { KollectProfileSpec } from '../../api/kollect-profile.ts';
import { KollectError } from '../../errors.ts';
import { attributeTypes, parseAttributeType } from '../../extract/coerce.ts';
import { prunePath } from '../../extract/prune.ts';
import { duplicate, forbidden, invalid, notSupported, required, tooMany, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Loose, Rule, RuleInput } from '../rule.ts';
import { groupVersionKind, isSecret } from './group-version-kind.ts';
import { repeated, uniqueNames } from './lists.ts';

type Input = RuleInput<KollectProfileSpec>;

export const profileRules: readonly Rule<KollectProfileSpec>[] = [
  { id: 'target-gvk', field: 'spec.targetGVK', asks: 'Must name a version and a kind.', check: ({ spec }, report) => groupVersionKind('spec.targetGVK', spec.targetGVK, report) },
  { id: 'attribute-name', field: 'spec.attributes[].name', asks: 'Must be set and unique.', check: ({ spec }, report) => uniqueNames('spec.attributes', spec.attributes, report) },
  { id: 'attribute-path', field: 'spec.attributes[].path', asks: 'Must be a JSONPath, a cel: expression or a helm: path that compiles; on Secrets, one that stays outside their data.', check: attributes },
  { id: 'attributes-needed', field: 'spec.attributes', asks: 'Must have an item, unless whole objects are exported.', check: attributesNeeded },
  { id: 'resource-mode', field: 'spec.export.mode', asks: 'Resource needs a free name for the object, and on Secrets an annotation that consents.', check: resourceMode },
  { id: 'prune-pointers', field: 'spec.export.prune.jsonPointers[]', asks: 'Must be JSON Pointers.', check: prunePointers },
  { id: 'prune-paths', field: 'spec.export.prune.jsonPaths[]', asks: 'Must be JSONPaths that compile.', check: prunePaths },
  { id: 'prune-cel', field: 'spec.export.prune.cel[]', asks: 'Is reserved and prunes nothing in this version.', check: pruneCel },
  { id: 'metric-name', field: 'spec.metrics[].name', asks: 'Must be set and unique.', check: ({ spec }, report) => uniqueNames('spec.metrics', spec.metrics, report) },
  { id: 'metrics', field: 'spec.metrics[]', asks: 'Must take value and labels, at most five, from attributes of the profile.', check: metrics },
];

function attributes(input: Input, report: Report): void {
  for (const [index, attribute] of (input.spec.attributes ?? []).entries()) {
    if (attribute === undefined) continue;
    const { name, path, type } = attribute;
    if (path !== undefined) attributePath(`spec.attributes[${index}].path`, path, input, report);
    // Assigning to this name would set a prototype instead of an attribute.
    if (name === '__proto__') report(invalid(`spec.attributes[${index}].name`, name, 'cannot be the name of an attribute; choose another'));
    if (type !== undefined && type !== '' && parseAttributeType(type) === undefined) report(notSupported(`spec.attributes[${index}].type`, type, attributeTypes));
  }
}

function attributePath(field: string, path: string, { spec, annotations, expressions }: Input, report: Report): void {
  if (path === '') {
    report(required(field, 'write a path such as $.metadata.name, {.metadata.name} or cel:object.metadata.name'));
    return;
  }
  const { problem, language, mayReadSecretData } = expressions.path(path);
  if (problem !== undefined) {
    report(invalid(field, path, problem));
    return;
  }
  if (mayReadSecretData && isSecret(spec.targetGVK) && annotations[allowSecretExtraction] !== 'true') {
    report(forbidden(field, `the path may read the data of Secrets; name another field, or set the annotation ${allowSecretExtraction}: "true" (the data itself is redacted all the same)`));
  } else if (language === 'helm' && !isSecret(spec.targetGVK)) {
    report(warning(field, 'releases of Helm are in Secrets: on objects of another kind the path gives nothing'));
  }
}

function attributesNeeded({ spec }: Input, report: Report): void {
  if (spec.attributes !== undefined && spec.attributes.length > 0) return;
  if (spec.export === undefined) report(warning('spec.attributes', 'no attributes: only the identity of the objects is collected'));
  else if (spec.export.mode !== 'Resource') report(required('spec.attributes', 'name at least one attribute, or set export.mode to Resource'));
}

function resourceMode({ spec, annotations }: Input, report: Report): void {
  if (spec.export?.mode !== 'Resource') return;
  const as = spec.export.as ?? 'resource';
  if (spec.attributes?.some((attribute) => attribute?.name === as)) report(duplicate('spec.export.as', as, 'an attribute has this name; choose another'));
  if (isSecret(spec.targetGVK) && annotations[allowFullResourceExport] !== 'true') {
    report(forbidden('spec.export.mode', `Resource would export whole Secrets; use mode Attributes, or set the annotation ${allowFullResourceExport}: "true"`));
  }
}

function prunePointers({ spec }: Input, report: Report): void {
  for (const [index, pointer] of (spec.export?.prune?.jsonPointers ?? []).entries()) {
    if (pointer !== undefined && !/^(\/([^~/]|~[01])*)+$/.test(pointer)) {
      report(invalid(`spec.export.prune.jsonPointers[${index}]`, pointer, 'must be a JSON Pointer such as /metadata/labels: it begins with "/", "~" is written ~0 and "/" inside a name ~1'));
    }
  }
}

function prunePaths({ spec }: Input, report: Report): void {
  for (const [index, path] of (spec.export?.prune?.jsonPaths ?? []).entries()) {
    if (path === undefined) continue;
    try {
      prunePath(path);
    } catch (error) {
      if (!(error instanceof KollectError)) throw error;
      report(invalid(`spec.export.prune.jsonPaths[${index}]`, path, error.message));
    }
  }
}

function pruneCel({ spec }: Input, report: Report): void {
  for (const index of (spec.export?.prune?.cel ?? []).keys()) report(warning(`spec.export.prune.cel[${index}]`, 'is reserved and prunes nothing in this version'));
}

/** Labels multiply the series of a metric. */
const maxMetricLabels = 5;

function metrics({ spec }: Input, report: Report): void {
  const attributes = new Set((spec.attributes ?? []).flatMap((attribute) => attribute?.name ?? []));
  for (const [index, metric] of (spec.metrics ?? []).entries()) if (metric !== undefined) metricOf(`spec.metrics[${index}]`, metric, attributes, report);
}

type Metric = NonNullable<Loose<NonNullable<KollectProfileSpec['metrics']>[number]>>;

function metricOf(field: string, { path, labels = [] }: Metric, attributes: ReadonlySet<string>, report: Report): void {
  if (path === '') {
    report(required(`${field}.path`, 'write the name of an attribute'));
    return;
  }
  if (path !== undefined && !attributes.has(path)) report(invalid(`${field}.path`, path, 'must be the name of an attribute of this profile'));
  if (labels.length > maxMetricLabels) report(tooMany(`${field}.labels`, labels.length, `must have at most ${maxMetricLabels} items`));
  for (const [index, label] of labels.entries()) {
    if (label === '') report(required(`${field}.labels[${index}]`, 'write the name of an attribute'));
    else if (label !== undefined && !attributes.has(label)) report(invalid(`${field}.labels[${index}]`, label, 'must be the name of an attribute of this profile'));
  }
  repeated(`${field}.labels`, labels, report);
}
