import { invalid, required } from '../finding.ts';
import type { Report } from '../finding.ts';

const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && labelPattern.test(text);
}

export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && subdomainPattern.test(text);
}

const labelRule = 'must be a DNS-1123 label: lower-case letters, digits and "-", beginning and ending with a letter or digit, at most 63 characters';
const subdomainRule = 'must be a DNS-1123 subdomain: lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit, at most 253 characters';

/**
 * The name of an object.
 *
 * @param elsewhere says what is wrong with a name with a slash, which looks like a namespace and a name
 */
export function objectName(field: string, name: string | undefined, elsewhere: (name: string) => string, report: Report): void {
  if (name === undefined) return;
  if (name.trim() === '') report(required(field, 'write the name of an object'));
  else if (name.includes('/')) report(invalid(field, name, elsewhere(name)));
  else if (!isDnsSubdomain(name)) report(invalid(field, name, subdomainRule));
}

/** What `objectName` says where only objects of the same namespace can be named. */
export function sameNamespaceOnly(name: string): string {
  return `write only a name${suggestLast(name)}; objects of other namespaces cannot be referenced here`;
}

/** What `objectName` says where the namespace has a field of its own. */
export function namespaceHasItsField(name: string): string {
  return `write only a name${suggestLast(name)}; the namespace goes into the field "namespace"`;
}

/** What `objectName` says of cluster-scoped objects. */
export function noNamespace(name: string): string {
  return `write only a name${suggestLast(name)}; cluster-scoped objects have no namespace`;
}

function suggestLast(name: string): string {
  const last = name.split('/').at(-1) ?? '';
  return isDnsSubdomain(last) ? ` such as ${JSON.stringify(last)}` : '';
}

/** The name of a namespace, when one is written. */
export function namespaceName(field: string, namespace: string | undefined, report: Report): void {
  if (namespace === undefined || namespace.trim() === '') return;
  if (!isDnsLabel(namespace)) report(invalid(field, namespace, labelRule));
}

/** The same where leaving it out would leave the meaning open. */
export function requiredNamespace(field: string, namespace: string | undefined, report: Report): void {
  if (namespace === undefined || namespace.trim() === '') report(required(field, 'write the namespace of the object; there is no default for cluster-scoped kinds'));
  else namespaceName(field, namespace, report);
}

/** A Secret in the namespace of the object or in another one. */
export function secretReference(field: string, reference: { readonly name?: string | undefined; readonly namespace?: string | undefined } | undefined, report: Report): void {
  if (reference === undefined) return;
  objectName(`${field}.name`, reference.name, namespaceHasItsField, report);
  namespaceName(`${field}.namespace`, reference.namespace, report);
}
