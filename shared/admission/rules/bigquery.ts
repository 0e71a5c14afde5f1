import type { KollectDatabaseSinkSpec } from '../../api/kollect-database-sink.ts';
import { invalid, required } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { secretReference } from './names.ts';

type Input = RuleInput<KollectDatabaseSinkSpec>;

export const bigqueryRules: readonly Rule<KollectDatabaseSinkSpec>[] = [
  { id: 'bigquery-project', field: 'spec.bigquery.project', asks: 'Must be the ID of a project.', check: name('project', /^(?:[a-z0-9.-]{1,253}:)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a project ID: lower-case letters, digits and "-", such as my-project') },
  { id: 'bigquery-dataset', field: 'spec.bigquery.dataset', asks: 'Must be the name of a dataset, without its project.', check: name('dataset', /^\w{1,1024}$/, 'must have letters, digits and "_" only; the project goes into spec.bigquery.project') },
  { id: 'bigquery-table', field: 'spec.bigquery.table', asks: 'Must be the name of a table, without its dataset.', check: name('table', /^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}\p{Zs}]{1,1024}$/u, 'must have letters, digits, "_" and "-" only; the dataset goes into spec.bigquery.dataset') },
  { id: 'bigquery-location', field: 'spec.bigquery.location', asks: 'Must be a location such as EU or europe-west4.', check: location },
  { id: 'bigquery-secret-ref', field: 'spec.bigquery.secretRef', asks: 'Must name the Secret with the key of a service account.', check: ({ spec }, report) => secretReference('spec.bigquery.secretRef', spec.bigquery?.secretRef, report) },
];

function name(part: 'project' | 'dataset' | 'table', pattern: RegExp, rule: string) {
  return ({ spec }: Input, report: Report) => {
    const text = spec.bigquery?.[part];
    if (text === undefined) return;
    if (text.trim() === '') report(required(`spec.bigquery.${part}`, 'must not be blank'));
    else if (!pattern.test(text) || text.trim() !== text) report(invalid(`spec.bigquery.${part}`, text, rule));
  };
}

function location({ spec }: Input, report: Report): void {
  const text = spec.bigquery?.location;
  if (text !== undefined && text !== '' && !/^[A-Za-z0-9-]{1,63}$/.test(text)) report(invalid('spec.bigquery.location', text, 'must be a location of Google Cloud, such as EU or europe-west4'));
}
