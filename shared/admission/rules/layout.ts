import { defaultPaths } from '../../api/default-paths.ts';
import type { KollectSnapshotSinkSpec } from '../../api/kollect-snapshot-sink.ts';
import { invalid, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { knownPlaceholders, pathTemplateRules, relativePath } from './path-template.ts';
import { tokensOf } from './template.ts';

type Input = RuleInput<KollectSnapshotSinkSpec>;

/** What stands for a part of the path of the file of a row. */
export const rowPlaceholders: ReadonlySet<string> = new Set(['cluster', 'namespace', 'name', 'targetNamespace', 'targetName', 'sourceNamespace', 'sourceName', 'group', 'kind', 'uid', 'generation', 'extension']);

/** Which files rows become. */
export const layoutRules: readonly Rule<KollectSnapshotSinkSpec>[] = [
  { id: 'layout-path', field: 'spec.layout.pathTemplate', asks: 'Must be a relative path, without empty parts, ".", ".." and ".git".', check: overPath(relativePath) },
  { id: 'layout-path-placeholders', field: 'spec.layout.pathTemplate', asks: `May hold ${[...rowPlaceholders].map((name) => `{${name}}`).join(' ')}, and no other placeholders.`, check: overPath((field, template, report) => knownPlaceholders(field, template, rowPlaceholders, report)) },
  { id: 'layout-path-identity', field: 'spec.layout.pathTemplate', asks: 'Must hold {sourceName}, {uid} or {name}.', check: overPath(placeOfARow) },
  { id: 'layout-path-rows', field: 'spec.layout.pathTemplate', asks: 'With {name} alone, which is that of the inventory, its rows share one path.', advises: true, check: overPath(pathOfAll) },
  ...pathTemplateRules<KollectSnapshotSinkSpec>('layout-index-path', 'spec.layout.index.pathTemplate', (spec) => spec.layout?.index?.pathTemplate),
  { id: 'layout-index-apart', field: 'spec.layout.index.pathTemplate', asks: 'Must not be the path of the rows.', check: indexApart },
  { id: 'layout-mode', field: 'spec.layout.mode', asks: 'With perResource and split, files that are not written any more are removed.', advises: true, check: mode },
  { id: 'layout-content', field: 'spec.layout.content', asks: 'manifest needs profiles with export.mode Resource.', advises: true, check: content },
];

function overPath(check: (field: string, template: string, report: Report) => void) {
  return ({ spec }: Input, report: Report) => {
    const template = spec.layout?.pathTemplate?.trim() ?? '';
    if (template !== '') check('spec.layout.pathTemplate', template, report);
  };
}

function placeOfARow(field: string, template: string, report: Report): void {
  const { tokens } = tokensOf(template);
  if (!['sourceName', 'uid', 'name'].some((token) => tokens.has(token))) report(invalid(field, template, 'must contain {sourceName} or {uid}, so that rows do not overwrite each other'));
}

function pathOfAll(field: string, template: string, report: Report): void {
  const { tokens } = tokensOf(template);
  if (tokens.has('name') && !tokens.has('sourceName') && !tokens.has('uid')) report(warning(field, '{name} is the name of the inventory: all its rows have the same path; write {sourceName} for that of the object'));
}

function indexApart({ spec: { layout } }: Input, report: Report): void {
  const rows = layout?.pathTemplate?.trim();
  const index = layout?.index?.pathTemplate?.trim() || defaultPaths.document;
  const isWritten = layout?.index?.enabled ?? layout?.mode === 'split';
  if (isWritten && rows === index) report(invalid('spec.layout.index.pathTemplate', index, 'is the path of the rows, which the index would overwrite; write another one'));
}

function mode({ spec: { layout } }: Input, report: Report): void {
  if (layout?.mode === 'perResource' || layout?.mode === 'split') report(warning('spec.layout.mode', `${layout.mode}: files of the inventory that are not written any more are removed`));
}

function content({ spec: { layout } }: Input, report: Report): void {
  if (layout?.content === 'manifest') report(warning('spec.layout.content', 'manifest: needs profiles with export.mode Resource; rows of others have no object to write'));
}
