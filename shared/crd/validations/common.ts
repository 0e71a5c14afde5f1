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

/**
 * Durations that no sum of 64 characters makes too long for CEL. An expression that fails, instead of being false, would refuse even updates that
 * leave the field alone.
 */
const holds = Object.entries({ h: 5, m: 7, s: 9, ms: 12, '(us|µs|μs)': 15, ns: 18 }).map(([unit, digits]) => `0*[0-9]{0,${digits}}([.][0-9]*)?${unit}`);

/**
 * CEL for an interval from 0s to 24h, which what is no duration is, too: that is left to `durationSyntax`.
 *
 * @param text CEL for the text of the interval
 */
export function intervalBounds(text: string): { notNegative: string; atMostADay: string } {
  const isDuration = `${text}.matches(${celPattern(durationRule.pattern)})`;
  const fits = `${text}.matches(r'^[+-]?(0|(${holds.join('|')})+)$')`;
  return {
    notNegative: `!${isDuration} || !${fits} || duration(${text}) >= duration('0s')`,
    atMostADay: `!${isDuration} || (${fits} && duration(${text}) <= duration('24h'))`,
  };
}

export function interval(at: string): CelCheck[] {
  const { notNegative, atMostADay } = intervalBounds('self');
  return [
    { at, expression: notNegative, message: 'must not be negative; write 0s for no delay, or a duration such as 30s' },
    { at, expression: atMostADay, message: 'must be at most 24h; write 24h or less' },
  ];
}

export const isBlank = "self.trim() == ''";

/**
 * The name of an object.
 *
 * @param elsewhere what is wrong with a name with a slash
 */
export function objectName(at: string, elsewhere: string): CelCheck[] {
  return [
    notBlank(at, 'write the name of an object'),
    { at, expression: `!self.contains('/')`, message: elsewhere },
    { at, expression: `${isBlank} || self.contains('/') || self.matches(${celPattern(dnsSubdomain.pattern)})`, message: dnsSubdomain.message },
  ];
}

export const sameNamespaceOnly = 'write only a name; objects of other namespaces cannot be referenced here';
export const namespaceHasItsField = 'write only a name; the namespace goes into the field "namespace"';
export const noNamespace = 'write only a name; cluster-scoped objects have no namespace';
export const namesOnly = 'write only a name; namespaces have lists of their own';

/** The name of a namespace, when one is written. */
export function namespaceName(at: string): CelCheck[] {
  return [{ at, expression: `${isBlank} || (size(self) <= ${dnsLabel.maxLength} && self.matches(${celPattern(dnsLabel.pattern)}))`, message: dnsLabel.message }];
}

/** Names of namespaces that must say something. */
export function namespaceNames(at: string): CelCheck[] {
  return [{ at, expression: `self.trim() != ''`, message: 'must not be empty; remove the item' }, ...namespaceName(at)];
}

/** A reference to a Secret, here or elsewhere. */
export function secretReference(at: string): CelCheck[] {
  return [...objectName(`${at}.name`, namespaceHasItsField), ...namespaceName(`${at}.namespace`)];
}

/** The namespace, which CEL writes with underscores, of a reference that a cluster-scoped object cannot leave out. */
export function requiredNamespace(at: string): CelCheck[] {
  return [
    { at, expression: 'has(self.__namespace__)', message: 'write the namespace of the object; there is no default for cluster-scoped kinds', fieldPath: '.namespace', reason: 'FieldValueRequired' },
    { at: `${at}.namespace`, expression: `size(self) <= ${dnsLabel.maxLength} && self.matches(${celPattern(dnsLabel.pattern)})`, message: dnsLabel.message },
  ];
}

/** A text that says something. */
export function notBlank(at: string, message: string): CelCheck {
  return { at, expression: `self.trim() != ''`, message, reason: 'FieldValueRequired' };
}

/**
 * Hosts that every installation refuses, by their names and usual spellings, as a pattern without regard to case. What else means the same takes a parser, and what
 * is private or loopback is up to the installation.
 */
export const refusedHosts = String.raw`(metadata(\.goog(le\.internal)?)?|instance-data(\.ec2\.internal)?|(\[::ffff:)?(169\.254\.[0-9.]+|100\.100\.100\.200|168\.63\.129\.16|0\.0\.0\.0)\]?|\[(::|::ffff:a9fe:.+|fd00:ec2::.+|fd20:ce::254)\])\.?`;

export const refusedHostMessage = 'points to the metadata of a cloud, or to no host at all; write a server that is reached over the network';

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
      message: 'must be empty for the operators Exists and DoesNotExist; use In or NotIn to compare values',
      messageExpression: `'must be empty for the operator ' + self.operator + '; use In or NotIn to compare values'`,
      fieldPath: '.values',
      reason: 'FieldValueForbidden',
    },
  ];
}

/**
 * The path of the document of an inventory.
 *
 * @param id begins the names of the rules
 */
export function pathTemplate(id: string, at: string): Record<string, CelCheck[]> {
  return {
    [id]: [relativePath(at)],
    [`${id}-placeholders`]: [knownPlaceholders(at, placeholders)],
    [`${id}-identity`]: [{ at, expression: `${isBlank} || (self.contains('{namespace}') && self.contains('{name}'))`, message: 'must contain {namespace} and {name}, so that inventories do not overwrite each other' }],
  };
}

export function relativePath(at: string): CelCheck {
  const wrong = [String.raw`[\\\p{Cc}]`, String.raw`[.][.]`, String.raw`(^|/)[.]?(/|$)`, String.raw`(^|/)[.][gG][iI][tT](/|$)`].join('|');
  return { at, expression: `${isBlank} || !self.trim().matches(r'${wrong}')`, message: 'must be a relative path, without empty parts, ".", ".." and ".git", and with "/" between its parts' };
}

/** Braces belong to placeholders. */
export function knownPlaceholders(at: string, known: Iterable<string>): CelCheck {
  const names = [...known];
  return { at, expression: String.raw`self.matches(r'^([^{}]|\{(${names.join('|')})\})*$')`, message: `unknown placeholder; known are ${names.map((name) => `{${name}}`).join(' ')}` };
}

export function groupVersionKind(at: string): CelCheck[] {
  return [
    { at: `${at}.version`, expression: `self.matches(r'^[a-z][a-z0-9]{0,62}$')`, message: 'must be the version of an API, such as v1 or v1beta1' },
    { at: `${at}.kind`, expression: `self.matches(r'^[A-Za-z][A-Za-z0-9]{0,62}$')`, message: 'must be a kind, such as Deployment' },
    { at: `${at}.group`, expression: `self == '' || self.matches(${celPattern(dnsSubdomain.pattern)})`, message: 'must be an API group such as apps or cert-manager.io, or empty for the core group' },
  ];
}
