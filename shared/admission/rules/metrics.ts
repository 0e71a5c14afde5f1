import type { KollectProfileSpec } from '../../api/kollect-profile.ts';
import { parseAttributeType } from '../../extract/coerce.ts';
import { nearestName } from '../../nearest.ts';
import { unlessCredential } from '../credentials.ts';
import { invalid, required, tooMany, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Loose, Rule, RuleInput } from '../rule.ts';
import { repeated, uniqueNames } from './lists.ts';

type Input = RuleInput<KollectProfileSpec>;

/** Labels multiply the series of a metric. */
const maxLabels = 5;

/** The metrics of a profile. */
export const metricRules: readonly Rule<KollectProfileSpec>[] = [
  { id: 'metric-name', field: 'spec.metrics[].name', asks: 'Must be a name that Prometheus takes, and unique.', check: metricNames },
  { id: 'metric-path', field: 'spec.metrics[].path', asks: 'Must be the name of an attribute of the profile.', check: eachMetric(metricPath) },
  { id: 'metric-value', field: 'spec.metrics[].path', asks: 'Should be an attribute with numbers.', advises: true, check: eachMetric(metricValue) },
  { id: 'metric-labels', field: 'spec.metrics[].labels', asks: `Must have at most ${maxLabels} items.`, check: eachMetric(labelCount) },
  { id: 'metric-label', field: 'spec.metrics[].labels[]', asks: 'Must be the name of an attribute of the profile, and a label that Prometheus takes and Kollect does not use itself, each once.', check: eachMetric(labels) },
];

function metricNames({ spec }: Input, report: Report): void {
  uniqueNames('spec.metrics', spec.metrics, report);
  for (const [index, metric] of (spec.metrics ?? []).entries()) {
    const name = metric?.name ?? '';
    if (name.trim() !== '' && !/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) {
      report(invalid(`spec.metrics[${index}].name`, name, `must be letters, digits, "_" and ":", not beginning with a digit${unlessCredential(name, `; write for example ${JSON.stringify(prometheusName(name))}`)}`));
    }
  }
}

function prometheusName(name: string): string {
  return name.slice(0, 64).replaceAll(/[^a-zA-Z0-9_:]+/g, '_').replace(/^(?=\d)/, '_');
}

type Metric = NonNullable<Loose<NonNullable<KollectProfileSpec['metrics']>[number]>>;
/** The attributes of the profile, with the type that each declares. */
interface Attributes {
  types: ReadonlyMap<string, string | undefined>;
  /** Names to compare a wrong one with. */
  candidates: readonly string[];
}

/** Comparing each name of a metric with more attributes would take longer than people wait for a hint. */
const maxComparisons = 5000;

type MetricCheck = (at: string, metric: Metric, attributes: Attributes, report: Report) => void;

/** Applies a check to all metrics, with the attributes and their types. */
function eachMetric(check: MetricCheck): Rule<KollectProfileSpec>['check'] {
  return ({ spec }, report) => {
    if (spec.metrics === undefined) return;
    const types = new Map((spec.attributes ?? []).flatMap((attribute) => (attribute?.name === undefined ? [] : [[attribute.name, attribute.type]])));
    const attributes: Attributes = { types, candidates: types.size * spec.metrics.length > maxComparisons ? [] : [...types.keys()] };
    for (const [index, metric] of spec.metrics.entries()) if (metric !== undefined) check(`spec.metrics[${index}]`, metric, attributes, report);
  };
}

function metricPath(at: string, { path }: Metric, attributes: Attributes, report: Report): void {
  if (path === '') report(required(`${at}.path`, 'write the name of an attribute'));
  else if (path !== undefined && !attributes.types.has(path)) report(invalid(`${at}.path`, path, noAttribute(path, attributes)));
}

function metricValue(at: string, { path = '' }: Metric, attributes: Attributes, report: Report): void {
  const type = parseAttributeType(attributes.types.get(path) ?? '');
  if (type === 'bool' || type === 'list' || type === 'map') report(warning(`${at}.path`, `the attribute is of type ${type}, which has no number to sum`));
}

function labelCount(at: string, { labels: names = [] }: Metric, _attributes: Attributes, report: Report): void {
  if (names.length > maxLabels) report(tooMany(`${at}.labels`, names.length, `must have at most ${maxLabels} items`));
}

/** What Kollect itself labels these series with. */
const ownLabels = ['target_namespace', 'target_name', 'profile', 'gvk', 'series'];

function labels(at: string, { labels: names = [] }: Metric, attributes: Attributes, report: Report): void {
  // Of a list that has to be cut, the rest is not looked at.
  const kept = names.slice(0, maxLabels);
  for (const [index, label] of kept.entries()) {
    const field = `${at}.labels[${index}]`;
    if (label === undefined) continue;
    if (label === '') report(required(field, 'write the name of an attribute'));
    else if (!attributes.types.has(label)) report(invalid(field, label, noAttribute(label, attributes)));
    else if (!/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(label)) report(invalid(field, label, `an attribute that becomes a label needs a name of letters, digits and "_"; rename it, for example to ${JSON.stringify(prometheusName(label).replaceAll(':', '_').replace(/^_+/, '_'))}`));
    else if (ownLabels.includes(label)) report(invalid(field, label, 'the series have a label of this name already; rename the attribute'));
  }
  repeated(`${at}.labels`, kept, report);
}

function noAttribute(name: string, attributes: Attributes): string {
  const near = nearestName(name, attributes.candidates);
  return `must be the name of an attribute of this profile${near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`}`;
}
