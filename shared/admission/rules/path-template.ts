import { invalid } from '../finding.ts';
import type { Report } from '../finding.ts';

/** What stands for a part of the path of a document. */
export const placeholders: ReadonlySet<string> = new Set(['cluster', 'namespace', 'name', 'generation', 'extension']);

/** A relative path in which every inventory gets a place of its own. */
export function pathTemplate(field: string, template: string | undefined, report: Report): void {
  const path = template?.trim() ?? '';
  if (path === '') return;
  if (path.startsWith('/')) report(invalid(field, template, 'must be relative, without a leading "/"'));
  else if (path.includes('..')) report(invalid(field, template, 'must not contain ".."'));
  const tokens = new Set(Array.from(path.matchAll(/\{([^{}]*)\}/g), ([, token = '']) => token));
  for (const token of tokens) {
    if (!placeholders.has(token)) report(invalid(field, template, `unknown placeholder {${token}}; known are ${[...placeholders].map((name) => `{${name}}`).join(' ')}`));
  }
  const missing = ['namespace', 'name'].filter((token) => !tokens.has(token));
  if (missing.length > 0) {
    report(invalid(field, template, `must contain ${missing.map((name) => `{${name}}`).join(' and ')}, so that inventories do not overwrite each other`));
  }
}
