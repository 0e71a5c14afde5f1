import { nearestName } from '../../nearest.ts';
import { forbidden, warning } from '../finding.ts';
import type { Report } from '../finding.ts';

/** Anywhere in a key, these words announce a credential: letters and digits only, so that no separator hides them. */
export const secretParts = /passw(?:or)?d|passphrase|secret|token|apikey|accesskey|privatekey|credential|connectionstring/;
/** These do so only as a whole word: they begin other words, as in `authMechanism` or `passive`. */
export const secretWords: ReadonlySet<string> = new Set(['pass', 'pwd', 'auth', 'sas', 'dsn', 'bearer']);

/**
 * Free settings of a backend: no credentials, and only keys that do something.
 *
 * @param known what the backend reads; undefined while the type itself is not known
 */
export function backendOptions(field: string, options: Readonly<Record<string, string | undefined>> | undefined, type: string, known: readonly string[] | undefined, report: Report): void {
  for (const [key, value] of Object.entries(options ?? {})) {
    const path = `${field}[${key}]`;
    if (isSecretLike(key)) report(forbidden(path, 'options are stored in plain text; put credentials into a Secret and name it in secretRef or databaseRef'));
    else if (value !== undefined && holdsCredential(value)) report(forbidden(path, 'the value holds a credential; put it into a Secret and name it in secretRef or databaseRef'));
    else if (known !== undefined && !known.includes(key)) report(warning(path, unknownOption(key, type, known)));
  }
}

function isSecretLike(key: string): boolean {
  const lower = key.trim().toLowerCase();
  return secretParts.test(lower.replaceAll(/[^a-z0-9]/g, '')) || lower.split(/[^a-z0-9]+/).some((word) => secretWords.has(word));
}

/** A URL with a password, or a key in PEM. */
function holdsCredential(value: string): boolean {
  return /:\/\/[^\s/@:]*:[^\s/@]+@/.test(value) || value.includes('-----BEGIN ');
}

function unknownOption(key: string, type: string, known: readonly string[]): string {
  const near = nearestName(key, known);
  if (near !== undefined) return `not an option of ${type} and has no effect; did you mean ${near}?`;
  return `not an option of ${type} and has no effect${known.length > 0 ? `; known are ${known.join(', ')}` : ''}`;
}
