import { nearestName } from '../../nearest.ts';
import { invalid } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { tokensOf } from './template.ts';

/** What stands for a part of the path of a document. */
export const placeholders: ReadonlySet<string> = new Set(['cluster', 'namespace', 'name', 'generation', 'extension']);

/**
 * The rules of the path of a document: relative, known placeholders, and a place of its own for every inventory.
 *
 * @param id begins the names of the rules
 */
export function pathTemplateRules<Spec>(id: string, field: string, read: (spec: RuleInput<Spec>['spec']) => string | undefined): readonly Rule<Spec>[] {
  const over = (check: (field: string, template: string, report: Report) => void) => (input: RuleInput<Spec>, report: Report) => {
    const template = read(input.spec)?.trim() ?? '';
    if (template !== '') check(field, template, report);
  };
  return [
    { id, field, asks: 'Must be a relative path, without empty parts, ".", ".." and ".git".', check: over(relativePath) },
    { id: `${id}-placeholders`, field, asks: `May hold ${listOf(placeholders)}, and no other placeholders.`, check: over((at, template, report) => knownPlaceholders(at, template, placeholders, report)) },
    { id: `${id}-identity`, field, asks: 'Must hold {namespace} and {name}.', check: over(ownPlace) },
  ];
}

/** A path below the root of its destination, which means the same to every kind of it. */
export function relativePath(field: string, template: string, report: Report): void {
  const parts = template.split('/');
  if (template.startsWith('/')) report(invalid(field, template, 'must be relative, without a leading "/"'));
  else if (template.includes('..')) report(invalid(field, template, 'must not contain ".."'));
  else if (/[\\\p{Cc}]/u.test(template)) report(invalid(field, template, 'must not contain backslashes or control characters; write "/" between folders'));
  else if (parts.some((part) => part === '' || part === '.')) report(invalid(field, template, 'must not contain empty parts or "."; write exactly one "/" between the names of folders and the file'));
  else if (parts.some((part) => part.toLowerCase() === '.git')) report(invalid(field, template, 'must not contain the folder ".git", which belongs to git itself'));
}

/** Placeholders that stand for something, spelled as they are known. */
export function knownPlaceholders(field: string, template: string, known: ReadonlySet<string>, report: Report): void {
  const { tokens, rest } = tokensOf(template);
  for (const token of tokens) {
    if (known.has(token)) continue;
    const near = nearestName(token, known);
    report(invalid(field, template, `unknown placeholder {${token.slice(0, 64)}}; ${near === undefined ? `known are ${listOf(known)}` : `did you mean {${near}}?`}`));
  }
  if (/[{}]/.test(rest)) report(invalid(field, template, 'has a brace that belongs to no placeholder; write placeholders as {name}'));
}

/** Without both, inventories would overwrite each other. */
function ownPlace(field: string, template: string, report: Report): void {
  const { tokens } = tokensOf(template);
  const missing = ['namespace', 'name'].filter((token) => !tokens.has(token));
  if (missing.length > 0) report(invalid(field, template, `must contain ${missing.map((name) => `{${name}}`).join(' and ')}, so that inventories do not overwrite each other`));
}

function listOf(names: Iterable<string>): string {
  return [...names].map((name) => `{${name}}`).join(' ');
}
