import { Optional } from '@marcbachmann/cel-js';
import type { Library } from './library-function.ts';
import { isUrl } from './url.ts';

/** Texts of one form, such as the names of objects. */
export class NamedFormat {
  readonly name: string;
  readonly #problem: (text: string) => string | undefined;

  constructor(name: string, problem: (text: string) => string | undefined) {
    this.name = name;
    this.#problem = problem;
  }

  /** What is wrong with a text; empty when nothing is. */
  validate(text: string): Optional {
    const problem = this.#problem(text);
    return problem === undefined ? Optional.none() : Optional.of([problem]);
  }

  equals(other: unknown): boolean {
    return other instanceof NamedFormat && other.name === this.name;
  }
}

type Problem = (text: string) => string | undefined;

/** @param maxLength no limit when unset */
function form(what: string, pattern: RegExp, maxLength = Number.POSITIVE_INFINITY): Problem {
  return (text) => (text.length > maxLength ? `must have at most ${maxLength} characters` : pattern.test(text) ? undefined : `must be ${what}`);
}

/** Names that the API server completes may end with a dash. */
function prefixOf(problem: Problem): Problem {
  return (text) => problem(text.length > 1 && text.endsWith('-') ? `${text.slice(0, -2)}a` : text);
}

const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const dns1123Label = form('lower case letters, digits and "-", and begin and end with a letter or digit', new RegExp(`^${label}$`), 63);
const dns1123Subdomain = form('lower case letters, digits, "-" and ".", and every part begin and end with a letter or digit', new RegExp(`^${label}(?:\\.${label})*$`), 253);
const dns1035Label = form('lower case letters, digits and "-", begin with a letter, and end with a letter or digit', /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/, 63);
const word = form('letters, digits, "-", "_" and ".", and begin and end with a letter or digit', /^(?:[A-Za-z0-9][-\w.]*)?[A-Za-z0-9]$/, 63);

function qualifiedName(text: string): string | undefined {
  const parts = text.split('/');
  if (parts.length > 2) return 'must be a name, or a domain, "/" and a name';
  const [name = '', domain] = parts.toReversed();
  return (domain === undefined ? undefined : dns1123Subdomain(domain)) ?? word(name);
}

/** A day that there is. */
function isDate(text: string): boolean {
  const [, year = '', month = '', day = ''] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  return year !== '' && date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day);
}

function isDateTime(text: string): boolean {
  const [, date = '', hour, minute, second] = /^(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  return isDate(date) && Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60;
}

const formats: Readonly<Record<string, Problem>> = {
  dns1123Label,
  dns1123Subdomain,
  dns1035Label,
  qualifiedName,
  dns1123LabelPrefix: prefixOf(dns1123Label),
  dns1123SubdomainPrefix: prefixOf(dns1123Subdomain),
  dns1035LabelPrefix: prefixOf(dns1035Label),
  labelValue: (text) => (text === '' ? undefined : word(text)),
  uri: (text) => (isUrl(text) ? undefined : 'must be an absolute URL or path'),
  uuid: form('a UUID', /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i),
  byte: form('base64', /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/),
  date: (text) => (isDate(text) ? undefined : 'must be a date such as 2026-01-31'),
  datetime: (text) => (isDateTime(text) ? undefined : 'must be a time such as 2026-01-31T12:00:00Z'),
};

const type = 'kubernetes.NamedFormat';
const named: ReadonlyMap<string, NamedFormat> = new Map(Object.entries(formats).map(([name, problem]) => [name, new NamedFormat(name, problem)]));

function formatNamed(_namespace: never, name: string): Optional {
  const found = named.get(name);
  return found === undefined ? Optional.none() : Optional.of(found);
}

export const namedFormatLibrary: Library = {
  namespaces: ['format'],
  types: [{ name: type, ctor: NamedFormat }],
  functions: [
    ...[...named].map(([name, format]) => ({ signature: `format.${name}(): ${type}`, handler: () => format })),
    { signature: `format.named(string): optional<${type}>`, handler: formatNamed },
    { signature: `${type}.validate(string): optional<list<string>>`, handler: (format: NamedFormat, text: string) => format.validate(text) },
  ],
};
