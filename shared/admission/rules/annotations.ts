import { nearestName } from '../../nearest.ts';
import { textOf } from '../../values.ts';
import { warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';

/** What an annotation may say: `true` for one that takes `"true"` only, `any` for one of which each new value counts. */
export type AnnotationValues = Readonly<Record<string, 'true' | 'any'>>;

/** Annotations of Kollect that have no effect where they are, or not with this value. */
export function annotationRule(known: AnnotationValues): Rule<unknown> {
  const names = Object.keys(known);
  const asks = names.length === 0 ? 'No annotation of Kollect has an effect on this kind.' : `Of the annotations of Kollect ${names.map((name) => `\`${name}\`${known[name] === 'true' ? ' ("true")' : ''}`).join(', ')} have an effect on this kind.`;
  return { id: 'annotations', field: 'metadata.annotations', asks, advises: true, check: (input, report) => effectless(known, names, input, report) };
}

const prefix = 'kollect.dev/';

/** Nobody has so many by mistake. */
const maxWarnings = 20;

function effectless(known: AnnotationValues, names: readonly string[], { kind, annotations }: RuleInput<unknown>, report: Report): void {
  for (const [name, value] of Object.entries(annotations).filter(([key]) => key.startsWith(prefix)).slice(0, maxWarnings)) {
    const field = `metadata.annotations[${name}]`;
    if (!Object.hasOwn(known, name)) report(warning(field, `has no effect on a ${kind}${suggestion(name, names)}`));
    else if (known[name] === 'true' && value !== 'true' && value !== 'false') report(warning(field, `has no effect with this value; write "true", in quotes${textOf(value).toLowerCase() === 'true' ? ' and small letters' : ', or remove it'}`));
  }
}

function suggestion(name: string, names: readonly string[]): string {
  const near = nearestName(name.slice(prefix.length), names.map((known) => known.slice(prefix.length)));
  if (near !== undefined) return `; did you mean ${prefix}${near}?`;
  return names.length > 0 ? `; known are ${names.join(', ')}` : '';
}
