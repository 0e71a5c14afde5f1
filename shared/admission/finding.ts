import { nearestName } from '../nearest.ts';
import { redact } from './credentials.ts';

export type FindingType = 'Required' | 'Invalid' | 'NotSupported' | 'Duplicate' | 'Forbidden' | 'TooMany';

/** One thing that a rule has to say about one field. */
export interface Finding {
  /** An error refuses the object, a warning goes with it. */
  severity: 'error' | 'warning';
  /** Where, as Kubernetes writes it: `spec.attributes[0].path`, `spec.options[password]`. */
  field: string;
  type: FindingType;
  /** What was found there; for `TooMany` the number, or what is known of it. Never something that may be a credential. */
  value?: unknown;
  /** What is wrong and what to write instead. */
  detail: string;
  /** The rule that found it; `schema` for what the schema of the kind refuses. */
  rule?: string;
  /** Refused by policy, whatever the object says otherwise: answered with 403 instead of 422. */
  policy?: true;
}

/** Takes what a rule found. */
export type Report = (finding: Finding) => void;

export function required(field: string, detail: string): Finding {
  return { severity: 'error', field, type: 'Required', detail };
}

export function invalid(field: string, value: unknown, detail: string): Finding {
  return { severity: 'error', field, type: 'Invalid', value, detail };
}

export function duplicate(field: string, value: unknown, detail = ''): Finding {
  return { severity: 'error', field, type: 'Duplicate', value, detail };
}

export function forbidden(field: string, detail: string): Finding {
  return { severity: 'error', field, type: 'Forbidden', detail };
}

/** @param count a number, or what is known of it */
export function tooMany(field: string, count: number | string, detail: string): Finding {
  return { severity: 'error', field, type: 'TooMany', value: count, detail };
}

/** A value outside an enumeration; names the one that was likely meant. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): Finding {
  const near = typeof value === 'string' ? nearestName(value, supported) : undefined;
  const suggestion = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
  return { severity: 'error', field, type: 'NotSupported', value, detail: `supported values: ${supported.map((name) => JSON.stringify(name)).join(', ')}${suggestion}` };
}

export function warning(field: string, detail: string): Finding {
  return { severity: 'warning', field, type: 'Invalid', detail };
}

/** The same finding as advice: for objects that were accepted before a rule came. */
export function asWarning(finding: Finding): Finding {
  const { policy: _policy, value: _value, ...rest } = finding;
  return { ...rest, severity: 'warning', detail: renderProblem(finding) };
}

/**
 * A finding as Kubernetes prints field errors.
 *
 * @example renderFinding(invalid('spec.dedupe', 'x', 'why')) // 'spec.dedupe: Invalid value: "x": why'
 */
export function renderFinding(finding: Finding): string {
  return `${finding.field}: ${renderProblem(finding)}`;
}

/** The part of `renderFinding` behind the field. */
export function renderProblem(finding: Finding): string {
  const { severity, type, value } = finding;
  // What is said of a text quotes parts of it.
  const detail = typeof value === 'string' && (value.length > maxSearchedLength || redact(value) !== value) ? redact(finding.detail) : finding.detail;
  if (severity === 'warning') return detail;
  switch (type) {
    case 'Required':
      return join('Required value', detail);
    case 'Invalid':
      return join(`Invalid value: ${displayValue(value)}`, detail);
    case 'NotSupported':
      return join(`Unsupported value: ${displayValue(value)}`, detail);
    case 'Duplicate':
      return join(`Duplicate value: ${displayValue(value)}`, detail);
    case 'Forbidden':
      return join('Forbidden', detail);
    case 'TooMany':
      return join(`Too many: ${String(value)}`, detail);
  }
}

/** Errors first, each part ordered by path, list indices by number. */
export function sortFindings(findings: Finding[]): Finding[] {
  if (findings.length < 2) return findings;
  const keyed = findings.map((finding) => ({ finding, tokens: finding.field.split(/[.[\]]+/) }));
  keyed.sort((a, b) => {
    if (a.finding.severity !== b.finding.severity) return a.finding.severity === 'error' ? -1 : 1;
    return compareTokens(a.tokens, b.tokens);
  });
  return keyed.map(({ finding }) => finding);
}

function compareTokens(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < a.length && index < b.length; index++) {
    const left = a[index] ?? '';
    const right = b[index] ?? '';
    if (left === right) continue;
    const numbers = Number(left) - Number(right);
    if (!Number.isNaN(numbers) && numbers !== 0) return numbers;
    return left < right ? -1 : 1;
  }
  return a.length - b.length;
}

function join(problem: string, detail: string): string {
  return detail === '' ? problem : `${problem}: ${detail}`;
}

/** Longer values say no more, and denials go to audit logs. */
const maxDisplayLength = 160;

/** Searching a longer text for credentials takes time, and cutting it first could take away what shows that it holds one. */
const maxSearchedLength = 1024;

function displayValue(value: unknown): string {
  if (value === undefined) return 'null';
  if (typeof value === 'string' && value.length > maxSearchedLength) return `(${value.length} characters)`;
  const text = JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === 'bigint') return Number(inner);
    return typeof inner === 'string' ? redact(inner) : inner;
  });
  return text.length > maxDisplayLength ? `${text.slice(0, maxDisplayLength)}…` : text;
}

const maxKeyLength = 200;

/** A key of the user's own making, as it may stand in a path. What is cut could hide where a credential ends, so longer ones are not shown. */
export function shownKey(key: string): string {
  return key.length > maxKeyLength ? `(${key.length} characters)` : redact(key);
}
