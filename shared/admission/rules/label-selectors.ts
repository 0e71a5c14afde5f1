import { forbidden, invalid, required, shownKey } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Loose, Rule } from '../rule.ts';
import { isDnsSubdomain } from './names.ts';

/** A label selector as objects hold it, any part of it missing. */
export interface LooseSelector {
  readonly matchLabels?: Readonly<Record<string, string | undefined>> | undefined;
  readonly matchExpressions?: readonly (LooseRequirement | undefined)[] | undefined;
}

interface LooseRequirement {
  readonly key?: string | undefined;
  readonly operator?: string | undefined;
  readonly values?: readonly (string | undefined)[] | undefined;
}

/** The rule of a field that holds a label selector. */
export function selectorRule<Spec>(id: string, field: string, select: (spec: Loose<Spec>) => LooseSelector | undefined): Rule<Spec> {
  return { id, field, asks: 'Must be a valid label selector.', check: ({ spec }, report) => labelSelector(field, select(spec), report) };
}

/** The rules by which the API server itself reads label selectors: one that breaks them matches nothing, silently. */
export function labelSelector(field: string, selector: LooseSelector | undefined, report: Report): void {
  if (selector === undefined) return;
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    labelKey(`${field}.matchLabels`, key, report);
    if (value !== undefined) labelValue(`${field}.matchLabels[${shownKey(key)}]`, value, report);
  }
  for (const [index, requirement] of (selector.matchExpressions ?? []).entries()) {
    if (requirement !== undefined) expression(`${field}.matchExpressions[${index}]`, requirement, report);
  }
}

/** True when the selector is missing or matches everything. */
export function selectsAll(selector: LooseSelector | undefined): boolean {
  return selector === undefined || (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0);
}

function expression(field: string, { key, operator, values = [] }: LooseRequirement, report: Report): void {
  if (key !== undefined) labelKey(`${field}.key`, key, report);
  const needsValues = operator === 'In' || operator === 'NotIn';
  if (needsValues && values.length === 0) report(required(`${field}.values`, `must name at least one value for the operator ${operator}`));
  if (!needsValues && operator !== undefined && values.length > 0) report(forbidden(`${field}.values`, `must be empty for the operator ${operator}; use In or NotIn to compare values`));
  for (const [index, value] of values.entries()) if (value !== undefined) labelValue(`${field}.values[${index}]`, value, report);
}

/** The key of a label, which is also that of an annotation. */
export function labelKey(field: string, key: string, report: Report): void {
  const slash = key.indexOf('/');
  const prefixIsFine = slash < 0 || isDnsSubdomain(key.slice(0, slash));
  if (!prefixIsFine || !isQualifiedName(key.slice(slash + 1))) {
    report(invalid(field, key, 'a label key is a name of at most 63 letters, digits, "-", "_" and ".", with an optional DNS prefix such as example.com/'));
  }
}

export function labelValue(field: string, value: string, report: Report): void {
  if (value !== '' && !isQualifiedName(value)) {
    report(invalid(field, value, 'a label value has at most 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit'));
  }
}

function isQualifiedName(text: string): boolean {
  return text.length <= 63 && /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(text);
}
