import { sinkTypeFacts } from '../../api/sink-types.ts';
import type { OptionForm } from '../../api/sinks/option-form.ts';
import { nearestName } from '../../nearest.ts';
import { holdsCredential, isSecretLike } from '../credentials.ts';
import { forbidden, invalid, shownKey, tooMany, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import type { SinkSpec } from './sink.ts';

/** No type reads ten. Beyond this nobody wants to hear of each. */
const maxOptions = 64;

/** Free settings of a backend: no credentials, and only keys that do something. */
export const optionRules: readonly Rule<SinkSpec>[] = [
  { id: 'option-count', field: 'spec.options', asks: `Must have at most ${maxOptions} keys.`, check: count },
  { id: 'option-keys', field: 'spec.options', asks: 'Must have no keys that announce a credential.', check: keys },
  { id: 'option-values', field: 'spec.options', asks: 'Must have no values that hold a credential.', check: values },
  { id: 'option-names', field: 'spec.options', asks: 'Options that the type does not know have no effect.', advises: true, check: names },
];

/** Judges the options that have a form. A credential is refused as such. */
export function optionForms({ options: given }: RuleInput<SinkSpec>['spec'], forms: Readonly<Record<string, OptionForm>>, report: Report): void {
  for (const [name, { isValid, wish }] of Object.entries(forms)) {
    const value = given?.[name];
    if (value !== undefined && !isValid(value.trim()) && !holdsCredential(value)) report(invalid(at(name), value, wish));
  }
}

/** The options, when they are not too many to judge. */
function options({ spec }: RuleInput<SinkSpec>): [key: string, value: string | undefined][] {
  const entries = Object.entries(spec.options ?? {});
  return entries.length > maxOptions ? [] : entries;
}

function count({ spec }: RuleInput<SinkSpec>, report: Report): void {
  const found = Object.keys(spec.options ?? {}).length;
  if (found > maxOptions) report(tooMany('spec.options', found, `must have at most ${maxOptions} items`));
}

function keys(input: RuleInput<SinkSpec>, report: Report): void {
  for (const [key] of options(input)) if (isSecretLike(key)) report(forbidden(at(key), 'options are stored in plain text; put credentials into a Secret and name it in secretRef or databaseRef'));
}

function values(input: RuleInput<SinkSpec>, report: Report): void {
  for (const [key, value] of options(input)) {
    if (value !== undefined && !isSecretLike(key) && holdsCredential(value)) report(forbidden(at(key), 'the value holds a credential; put it into a Secret and name it in secretRef or databaseRef'));
  }
}

function names(input: RuleInput<SinkSpec>, report: Report): void {
  const { type = '' } = input.spec;
  const known = sinkTypeFacts(type)?.options;
  if (known === undefined) return;
  for (const [key, value = ''] of options(input)) {
    if (!known.includes(key) && !isSecretLike(key) && !holdsCredential(value)) report(warning(at(key), unknownOption(key, type, known)));
  }
}

/** The field of an option. A key may be of any length, and hold what it likes. */
function at(key: string): string {
  return `spec.options[${shownKey(key)}]`;
}

function unknownOption(key: string, type: string, known: readonly string[]): string {
  const near = nearestName(key, known);
  if (near !== undefined) return `not an option of ${type} and has no effect; did you mean ${near}?`;
  return `not an option of ${type} and has no effect${known.length > 0 ? `; known are ${known.join(', ')}` : ''}`;
}
