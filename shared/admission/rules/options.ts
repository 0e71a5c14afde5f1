import { sinkTypeFacts } from '../../api/sink-types.ts';
import { nearestName } from '../../nearest.ts';
import { forbidden, shownKey, tooMany, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import type { SinkSpec } from './sink.ts';

/** Anywhere in a key, these words announce a credential: letters and digits only, so that no separator hides them. */
export const secretParts = /passw(?:or)?d|passphrase|secret|token|apikey|accesskey|accountkey|sharedkey|privatekey|credential|connectionstring|authorization/;
/** These do so only as a whole word: they begin other words, as in `authMechanism` or `passive`. */
export const secretWords: ReadonlySet<string> = new Set(['pass', 'pwd', 'auth', 'sas', 'dsn', 'bearer']);

/** No type reads ten. Beyond this nobody wants to hear of each. */
const maxOptions = 64;

/** Free settings of a backend: no credentials, and only keys that do something. */
export const optionRules: readonly Rule<SinkSpec>[] = [
  { id: 'option-count', field: 'spec.options', asks: `Must have at most ${maxOptions} keys.`, check: count },
  { id: 'option-keys', field: 'spec.options', asks: 'Must have no keys that announce a credential.', check: keys },
  { id: 'option-values', field: 'spec.options', asks: 'Must have no values that hold a credential.', check: values },
  { id: 'option-names', field: 'spec.options', asks: 'Options that the type does not know have no effect.', advises: true, check: names },
];

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

/**
 * Whether a name announces a credential.
 *
 * @example isSecretLike('sasl.token') // true
 */
export function isSecretLike(name: string): boolean {
  const plain = name.normalize('NFKC').trim();
  const lower = plain.toLowerCase();
  if (secretParts.test(lower.replaceAll(/[^a-z0-9]/g, ''))) return true;
  // `dbPass` and `basicAuth` end in one; `authMechanism` and `passThrough` only begin with it.
  const lastWord = plain.split(/(?<=[a-z0-9])(?=[A-Z])/).at(-1)?.toLowerCase() ?? '';
  return secretWords.has(lastWord) || lower.split(/[^a-z0-9]+/).some((word) => secretWords.has(word));
}

/** A URL with a password, a key in PEM, or a setting such as `password=…`. */
function holdsCredential(value: string): boolean {
  return value.includes('-----BEGIN ') || /(?:passw(?:or)?d|pwd|secret|token|api_?key|access_?key|account_?key)\s*=\s*[^\s;&]/i.test(value) || value.split(/\s+/).some(isUrlWithPassword);
}

/** `scheme://user:password@`, anywhere in a word. In two steps, because one expression would try every beginning with every end. */
function isUrlWithPassword(word: string): boolean {
  const user = /:\/\/[^/@:]*:/.exec(word);
  if (user === null) return false;
  const rest = word.slice(user.index + user[0].length);
  // A port, and whatever comes behind it.
  return rest.indexOf('@') > 0 && !/^\d{1,5}[/?#]/.test(rest);
}

function unknownOption(key: string, type: string, known: readonly string[]): string {
  const near = nearestName(key, known);
  if (near !== undefined) return `not an option of ${type} and has no effect; did you mean ${near}?`;
  return `not an option of ${type} and has no effect${known.length > 0 ? `; known are ${known.join(', ')}` : ''}`;
}
