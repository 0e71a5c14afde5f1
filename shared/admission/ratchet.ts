import { allowFullResourceExport, allowSecretExtraction } from '../api/annotations.ts';
import { isObject } from '../values.ts';
import { asWarning, sortFindings } from './finding.ts';
import type { Finding } from './finding.ts';

/**
 * Whether an update leaves alone all that rules judge: the spec and the annotations that consent to more. Then it must not be refused for
 * a rule that is newer than the object, or nobody could remove a finalizer or ask for a connection test. Both with the defaults of admission: what is
 * stored may lack those that the update was given on its way.
 */
export function isUnchangedSince(old: unknown, object: unknown): boolean {
  const before = part(old);
  const after = part(object);
  return before !== undefined && after !== undefined && isEqual(before, after);
}

/** Findings in their order. What was accepted once and is unchanged is warned about, not refused; whether it is, is asked only when something would be. */
export function tolerant(findings: Finding[], isUnchanged: (() => boolean) | undefined): Finding[] {
  const isTolerated = findings.some(({ severity }) => severity === 'error') && isUnchanged?.() === true;
  return sortFindings(isTolerated ? findings.map((finding) => (finding.severity === 'error' ? asWarning(finding) : finding)) : findings);
}

function part(object: unknown): unknown {
  if (!isObject(object) || object.spec === undefined) return undefined;
  const annotations = isObject(object.metadata) && isObject(object.metadata.annotations) ? object.metadata.annotations : {};
  return [object.spec, annotations[allowSecretExtraction], annotations[allowFullResourceExport]];
}

/** Structural equality of JSON values; the order of keys does not count. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => isEqual(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key]));
}
