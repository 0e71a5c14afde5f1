import { durationRule } from '../../api/duration.ts';
import { placeholders } from '../../admission/rules/path-template.ts';
import { dnsLabel, dnsSubdomain, type TextRule } from '../../api/text.ts';
import type { CelCheck } from '../crd-validation.ts';

/** A pattern of JavaScript as a raw string of CEL. Both read the part of the syntax that our patterns keep to in the same way. */
export function celPattern(pattern: RegExp): string {
  if (pattern.flags !== '' || pattern.source.includes("'")) throw new Error(`CEL cannot say ${String(pattern)}`);
  return `r'${pattern.source}'`;
}

/** A text as the schema asks for it. */
export function ruledTextCheck(at: string, { pattern, message }: TextRule): CelCheck {
  return { at, expression: `self.matches(${celPattern(pattern)})`, message };
}

/** The syntax of a duration, which the schema asks for. */
export function durationSyntax(at: string): CelCheck[] {
  return [ruledTextCheck(at, durationRule)];
}

/** An interval from 0s to 24h. What is no duration is left to `durationSyntax`. */
export function interval(at: string): CelCheck[] {
  const isDuration = `self.matches(${celPattern(durationRule.pattern)})`;
  return [
    { at, expression: `!${isDuration} || duration(self) >= duration('0s')`, message: 'must not be negative' },
    { at, expression: `!${isDuration} || duration(self) <= duration('24h')`, message: 'must be at most 24h' },
  ];
}

const isBlank = "self.trim() == ''";

/**
 * The name of an object.
 *
 * @param elsewhere what is wrong with a name with a slash
 */
export function objectName(at: string, elsewhere: string): CelCheck[] {
  return [
    { at, expression: `self.trim() != ''`, message: 'write the name of an object', reason: 'FieldValueRequired' },
    { at, expression: `!self.contains('/')`, message: elsewhere },
    { at, expression: `${isBlank} || self.contains('/') || self.matches(${celPattern(dnsSubdomain.pattern)})`, message: dnsSubdomain.message },
  ];
}

export const sameNamespaceOnly = 'write only a name; objects of other namespaces cannot be referenced here';
export const namespaceHasItsField = 'write only a name; the namespace goes into the field "namespace"';
export const noNamespace = 'write only a name; cluster-scoped objects have no namespace';

/** The name of a namespace, when one is written. */
export function namespaceName(at: string): CelCheck[] {
  return [{ at, expression: `${isBlank} || (size(self) <= ${dnsLabel.maxLength} && self.matches(${celPattern(dnsLabel.pattern)}))`, message: dnsLabel.message }];
}

/** Names of namespaces that must say something. */
export function namespaceNames(at: string): CelCheck[] {
  return [{ at, expression: `self.trim() != ''`, message: 'must not be empty' }, ...namespaceName(at)];
}

/** A reference to a Secret, here or elsewhere. */
export function secretReference(at: string): CelCheck[] {
  return [...objectName(`${at}.name`, namespaceHasItsField), ...namespaceName(`${at}.namespace`)];
}

/** A reference of a cluster-scoped object, whose namespace cannot be left out. */
export function namespacedReference(at: string): CelCheck[] {
  return [
    ...objectName(`${at}.name`, namespaceHasItsField),
    { at, expression: 'has(self.namespace)', message: 'write the namespace of the object; there is no default for cluster-scoped kinds', fieldPath: '.namespace', reason: 'FieldValueRequired' },
    { at: `${at}.namespace`, expression: `size(self) <= ${dnsLabel.maxLength} && self.matches(${celPattern(dnsLabel.pattern)})`, message: dnsLabel.message },
  ];
}

/** A label selector: which operators have values. */
export function labelSelector(at: string): CelCheck[] {
  const requirement = `${at}.matchExpressions[]`;
  return [
    {
      at: requirement,
      expression: `!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)`,
      message: 'must name at least one value for the operators In and NotIn',
      messageExpression: `'must name at least one value for the operator ' + self.operator`,
      fieldPath: '.values',
      reason: 'FieldValueRequired',
    },
    {
      at: requirement,
      expression: `!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0`,
      message: 'must be empty for the operators Exists and DoesNotExist',
      messageExpression: `'must be empty for the operator ' + self.operator`,
      fieldPath: '.values',
      reason: 'FieldValueForbidden',
    },
  ];
}

/** The path of the document of an inventory. */
export function pathTemplate(at: string): CelCheck[] {
  return [
    ...relativePath(at),
    knownPlaceholders(at, [...placeholders]),
    { at, expression: `${isBlank} || (self.contains('{namespace}') && self.contains('{name}'))`, message: 'must contain {namespace} and {name}, so that inventories do not overwrite each other' },
  ];
}

export function relativePath(at: string): CelCheck[] {
  return [
    { at, expression: `!self.trim().startsWith('/')`, message: 'must be relative, without a leading "/"' },
    { at, expression: `!self.contains('..')`, message: 'must not contain ".."' },
  ];
}

/** Behind each `{` comes a known name and `}`, or no `}` before the next `{`: then it is no placeholder. */
export function knownPlaceholders(at: string, known: readonly string[]): CelCheck {
  const pattern = new RegExp(String.raw`^[^{]*(\{((${known.join('|')})\}[^{]*|[^{}]*))*$`);
  return { at, expression: `self.matches(${celPattern(pattern)})`, message: `unknown placeholder; known are ${known.map((name) => `{${name}}`).join(' ')}` };
}

export function groupVersionKind(at: string): CelCheck[] {
  return [
    { at: `${at}.version`, expression: `self.matches(r'^[a-z][a-z0-9]{0,62}$')`, message: 'must be the version of an API, such as v1 or v1beta1' },
    { at: `${at}.kind`, expression: `self.matches(r'^[A-Za-z][A-Za-z0-9]{0,62}$')`, message: 'must be a kind, such as Deployment' },
    { at: `${at}.group`, expression: `self == '' || self.matches(${celPattern(dnsSubdomain.pattern)})`, message: 'must be an API group such as apps or cert-manager.io, or empty for the core group' },
  ];
}
