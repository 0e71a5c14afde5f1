import type { LintFinding, LintResult } from '../../shared/lint/lint.ts';
import { wrap } from '../../shared/wrap.ts';

export interface TextOptions {
  hasColor: boolean;
  /** Width of the terminal; left out, each finding is one line, as grep likes it. */
  columns?: number;
}

/**
 * The report for people: findings by file and object, each with a place that terminals and editors can follow, and the count.
 *
 * @example
 * KollectTarget default/web
 *   pipeline.yaml:6:3  error  spec.profileRef: Invalid value: "other/web": write only a name such as "web"; …  (profile-ref)
 *
 * 1 object, 1 error, 0 warnings
 */
export function textReport({ findings, objects, others }: LintResult, { hasColor, columns }: TextOptions): string {
  const paint = (code: string, text: string) => (hasColor ? `\u001b[${code}m${text}\u001b[0m` : text);
  const lines: string[] = [];
  for (const group of groups(findings)) {
    const [first] = group;
    if (first === undefined) continue;
    if (first.object !== undefined) lines.push(paint('1', printable(objectTitle(first.object))));
    const places = group.map(place);
    const placeWidth = Math.max(...places.map(({ length }) => length));
    const severityWidth = Math.max(...group.map(({ severity }) => severity.length));
    for (const [index, { severity, rule, field, problem }] of group.entries()) {
      const head = `  ${paint('36', (places[index] ?? '').padEnd(placeWidth))}  ${paint(severity === 'error' ? '31' : '33', severity.padEnd(severityWidth))}`;
      const indent = 2 + placeWidth + 2 + severityWidth + 2;
      const isNarrow = columns !== undefined && columns - indent < minTextColumns;
      const texts = wrapAt(printable(`${field === undefined ? '' : `${field}: `}${problem}  (${rule})`), columns, isNarrow ? narrowIndent : indent).map((text) => styled(text.trimEnd(), field, rule, paint));
      lines.push(isNarrow ? `${head}\n${' '.repeat(narrowIndent)}${texts.join(`\n${' '.repeat(narrowIndent)}`)}` : `${head}  ${texts.join(`\n${' '.repeat(indent)}`)}`);
    }
    lines.push('');
  }
  lines.push(summary(findings, objects, others, paint));
  return `${lines.join('\n')}\n`;
}

/** What follows one another in a file and is about one object. */
function groups(findings: readonly LintFinding[]): LintFinding[][] {
  const found: LintFinding[][] = [];
  let key: string | undefined;
  for (const finding of findings) {
    const next = JSON.stringify([finding.file, finding.object]);
    if (next === key) found.at(-1)?.push(finding);
    else found.push([finding]);
    key = next;
  }
  return found;
}

function objectTitle({ kind, namespace, name }: NonNullable<LintFinding['object']>): string {
  return `${kind === '' ? 'object without a kind' : kind} ${namespace === '' ? '' : `${namespace}/`}${name === '' ? '(no name)' : name}`;
}

function place({ file, region }: LintFinding): string {
  return printable(region === undefined ? file : `${file}:${region.line}:${region.column}`);
}

/** Keys and file names may hold what would command a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The field stands out, the rule steps back. Only the first line has a field, only the last has the rule. */
function styled(text: string, field: string | undefined, rule: string, paint: (code: string, text: string) => string): string {
  const from = field !== undefined && text.startsWith(`${field}: `) ? field.length + 1 : 0;
  const to = text.endsWith(`(${rule})`) ? text.length - rule.length - 2 : text.length;
  return `${from > 0 ? paint('1', text.slice(0, from)) : ''}${text.slice(from, to)}${to < text.length ? paint('2', text.slice(to)) : ''}`;
}

/** Beside a path that leaves less than this, text is not read: it gets lines of its own. */
const minTextColumns = 50;
const narrowIndent = 6;

function wrapAt(text: string, columns: number | undefined, indent: number): string[] {
  return columns === undefined ? [text] : wrap(text, Math.max(minTextColumns, columns) - indent);
}

function summary(findings: readonly LintFinding[], objects: number, others: number, paint: (code: string, text: string) => string): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.length - errors;
  const counts = [count(objects, 'object'), errors > 0 ? paint('31', count(errors, 'error')) : count(errors, 'error'), warnings > 0 ? paint('33', count(warnings, 'warning')) : count(warnings, 'warning')];
  return `${counts.join(', ')}${others === 0 ? '' : ` (${count(others, 'object')} of other groups not judged)`}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
