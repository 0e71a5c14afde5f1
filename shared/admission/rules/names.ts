import { dnsLabel, dnsSubdomain } from '../../api/text.ts';
import { unlessCredential } from '../credentials.ts';
import { invalid, required } from '../finding.ts';
import type { Report } from '../finding.ts';

export function isDnsLabel(text: string): boolean {
  return text.length <= dnsLabel.maxLength && dnsLabel.pattern.test(text);
}

export function isDnsSubdomain(text: string): boolean {
  return text.length <= dnsSubdomain.maxLength && dnsSubdomain.pattern.test(text);
}

/**
 * The name of an object.
 *
 * @param elsewhere says what is wrong with a name with a slash, which looks like a namespace and a name
 */
export function objectName(field: string, name: string | undefined, elsewhere: (name: string) => string, report: Report): void {
  if (name === undefined) return;
  if (name.trim() === '') report(required(field, 'write the name of an object'));
  else if (name.includes('/')) report(invalid(field, name, elsewhere(name)));
  else if (!isDnsSubdomain(name)) report(invalid(field, name, `${dnsSubdomain.message}${instead(name, isDnsSubdomain)}`));
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

/** What `objectName` says in lists that hold names of whatever namespace. */
export function namesOnly(name: string): string {
  return `write only a name${suggestLast(name)}; namespaces have lists of their own`;
}

function suggestLast(name: string): string {
  const last = name.split('/').at(-1) ?? '';
  return isDnsSubdomain(last) ? unlessCredential(name, ` such as ${JSON.stringify(last)}`) : '';
}

/** The name of a namespace, when one is written. */
export function namespaceName(field: string, namespace: string | undefined, report: Report): void {
  if (namespace === undefined || namespace.trim() === '') return;
  if (namespace.includes('/')) report(invalid(field, namespace, 'write only the name of the namespace, without "/"'));
  else if (!isDnsLabel(namespace)) report(invalid(field, namespace, `${dnsLabel.message}${instead(namespace, isDnsLabel)}`));
}

/** What to write in place of a name: what it becomes by the letters that are allowed, or a word about patterns, which are none. */
export function instead(name: string, isValid: (name: string) => boolean): string {
  if (name.includes('*')) return '; patterns are not supported, write whole names';
  const near = name.trim().toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-').replaceAll(/^-+|-+$/g, '');
  return isValid(near) ? unlessCredential(name, `; write for example ${JSON.stringify(near)}`) : '';
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
