import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { CelFault } from '../cel-fault.ts';
import { durationNanoseconds, timestampText } from '../cel-timestamp.ts';
import { compareUtf8 } from '../compare-utf8.ts';
import type { Library } from './library-function.ts';

const escapes: Readonly<Record<string, string>> = { '\u0007': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '\\': '\\\\', '"': '\\"' };

function quote(text: string): string {
  // eslint-disable-next-line no-control-regex
  return `"${text.toWellFormed().replaceAll(/[\u0007\b\f\n\r\t\v\\"]/g, (character) => escapes[character] ?? character)}"`;
}

/** Digits behind the point that `%f` and `%e` may ask for, at most. */
const maxPrecision = 60;

/**
 * A text with its verbs replaced: `%s`, `%d`, `%f`, `%e`, `%b`, `%o`, `%x`, `%X`, and `%%`.
 *
 * @throws CelFault for verbs that do not exist, arguments that are missing or left over, and arguments of a type that the verb does not take
 */
function format(template: string, args: readonly unknown[]): string {
  let used = 0;
  const text = template.replaceAll(/%(%|(?:\.(\d+))?([a-zA-Z])|[^])?/g, (_all, verb: string | undefined, precision: string | undefined, letter: string | undefined) => {
    if (verb === '%') return '%';
    if (letter === undefined) throw new CelFault('format(): "%" without a verb; write %% for the sign itself');
    if (used >= args.length) throw new CelFault('format(): fewer arguments than verbs');
    return clause(letter, precision === undefined ? 6 : Number(precision), args[used++]);
  });
  if (used < args.length) throw new CelFault('format(): more arguments than verbs');
  return text;
}

function clause(verb: string, precision: number, value: unknown): string {
  if (precision > maxPrecision) throw new CelFault(`format(): more than ${maxPrecision} digits`);
  const integer = integerOf(value);
  switch (verb) {
    case 's':
      return typeof value === 'string' ? value : typeof value === 'number' ? doubleText(value) : display(value);
    case 'd':
      if (integer !== undefined) return integer.toString();
      break;
    case 'f':
      if (typeof value === 'number') return Number.isFinite(value) ? grouped(roundHalfEven(value, precision)) : nonFinite(value);
      break;
    case 'e':
      if (typeof value === 'number') return Number.isFinite(value) ? scientific(value, precision) : nonFinite(value);
      break;
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0';
      if (integer !== undefined) return integer.toString(2);
      break;
    case 'o':
      if (integer !== undefined) return integer.toString(8);
      break;
    case 'x':
      return hex(value, integer);
    case 'X':
      return hex(value, integer).toUpperCase();
    default:
      throw new CelFault('format(): a verb that does not exist; there are s, d, f, e, b, o, x and X');
  }
  throw new CelFault(`format(): a value of a type that %${verb} does not take`);
}

/** JavaScript rounds what lies exactly between two up, Go to the even one. A hundred digits show whether it does. */
function roundHalfEven(value: number, precision: number): string {
  const rounded = value.toFixed(precision);
  const exact = value.toFixed(100);
  const point = exact.indexOf('.');
  const rest = exact.slice(point + 1 + precision);
  const kept = precision === 0 ? exact.slice(0, point) : exact.slice(0, point + 1 + precision);
  return /^50*$/.test(rest) && /[02468]$/.test(kept) ? kept : rounded;
}

/** A comma after every three digits before the point. */
function grouped(text: string): string {
  const [whole = '', fraction] = text.split('.');
  return whole.replaceAll(/\B(?=(?:\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`);
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** Such as 1.234500×10⁰³. */
function scientific(value: number, precision: number): string {
  const [mantissa = '', exponent = '0'] = value.toExponential(precision).split('e');
  const digits = String(Math.abs(Number(exponent))).padStart(2, '0').replaceAll(/\d/g, (digit) => superscripts[Number(digit)] as string);
  return `${mantissa}×10${Number(exponent) < 0 ? '⁻' : ''}${digits}`;
}

function nonFinite(value: number): string {
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '-∞';
}

function hex(value: unknown, integer: bigint | undefined): string {
  if (integer !== undefined) return integer.toString(16);
  if (typeof value === 'string') return Buffer.from(value).toString('hex');
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  throw new CelFault('format(): a value of a type that %x does not take');
}

function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return value instanceof UnsignedInt ? value.value : undefined;
}

/** As it stands inside a list or map. */
function display(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') return memberDouble(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(display).join(', ')}]`;
  if (value instanceof UnsignedInt) return value.value.toString();
  if (value instanceof Date) return timestampText(value);
  if (value instanceof Duration) return `${plainDouble(Number(durationNanoseconds(value)) / 1e9)}s`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (Object.getPrototypeOf(value) !== Object.prototype) return typeName(value);
  const entries = Object.entries(value).sort(([left], [right]) => compareUtf8(left, right));
  return `{${entries.map(([key, member]) => `${quote(key)}:${display(member)}`).join(', ')}}`;
}

/** Six digits behind the point. */
function memberDouble(value: number): string {
  if (!Number.isFinite(value)) return quote(doubleText(value));
  if (Object.is(value, -0)) return '-0.000000';
  return Math.abs(value) < 1e21 ? roundHalfEven(value, 6) : `${BigInt(value)}.000000`;
}

/** A type is its name; other values that are neither JSON nor above, such as quantities, have no text. */
function typeName(value: object): string {
  const [, name] = /^Type<(.*)>$/.exec(String(value)) ?? [];
  if (name === undefined) throw new CelFault('format(): a value of a type that %s does not take');
  return name;
}

/** Without an exponent, however large or small. */
function plainDouble(value: number): string {
  const text = String(value);
  const [, sign = '', whole = '', fraction = '', exponent] = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text) ?? [];
  if (exponent === undefined) return text;
  const shift = Number(exponent);
  if (shift < 0) return `${sign}0.${'0'.repeat(-shift - 1)}${whole}${fraction}`;
  return sign + whole + fraction.padEnd(shift, '0');
}

/** A double as CEL converts it to text: the fewest digits that say it, with an exponent below 1e-4 and from 1e6 on. */
export function doubleText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return String(value);
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

export const stringLibrary: Library = {
  namespaces: ['strings'],
  functions: [
    { signature: 'strings.quote(string): string', handler: (_namespace: never, text: string) => quote(text) },
    { signature: 'string.format(list): string', handler: format },
  ],
};
