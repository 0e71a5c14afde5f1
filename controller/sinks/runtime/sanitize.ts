/** Replaces what must not be seen in a text that goes to a status, an event or a log. */
export type Sanitize = (text: string) => string;

const hidden = '***';
/** Longer messages say nothing that their beginning does not. */
const maxCharacters = 1024;
/** Shorter values would blank out ordinary words, and protect nothing. */
const minSecretCharacters = 4;

/**
 * Makes the one sanitizer of a sink. It hides the values of its Secrets as they are, trimmed, URL-encoded and in base64, the
 * passwords inside connection strings among them, and whatever looks like a credential in any text.
 *
 * @example createSanitizer(['postgres://u:hunter22@db/x'])('login of hunter22 failed') // 'login of *** failed'
 */
export function createSanitizer(secrets: readonly string[]): Sanitize {
  const forms = new Set<string>();
  for (const secret of secrets.flatMap((value) => [value, ...passwordsIn(value)])) {
    for (const value of [secret, secret.trim(), ...secret.split(/\r?\n/)]) for (const form of formsOf(value)) if (form.length >= minSecretCharacters) forms.add(form);
  }
  // The longest first: a value that contains another must not leave its rest behind.
  const ordered = [...forms].sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const form of ordered) clean = clean.replaceAll(form, hidden);
    for (const [pattern, replacement] of patterns) clean = clean.replace(pattern, replacement);
    return clean.length > maxCharacters ? `${clean.slice(0, maxCharacters - 1)}…` : clean;
  };
}

function formsOf(value: string): string[] {
  if (value.length < minSecretCharacters) return [];
  const bytes = Buffer.from(value, 'utf8');
  const base64 = bytes.toString('base64');
  const json = JSON.stringify(value).slice(1, -1);
  return [value, json, encodeURIComponent(value.toWellFormed()), encodeURI(value.toWellFormed()), base64, base64.replace(/=+$/, ''), bytes.toString('base64url')];
}

/** Passwords of URLs, of `key=value` connection strings and of JSON, which servers and drivers name without the rest. */
function passwordsIn(value: string): string[] {
  const found: string[] = [];
  for (const [, password = ''] of value.matchAll(/[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:([^\s/]*)@/gi)) found.push(password, decoded(password));
  for (const [, key = '', text = ''] of value.matchAll(pairPattern())) if (isSecretKey(key)) found.push(unquoted(text), decoded(unquoted(text)));
  for (const [key, text] of Object.entries(parsed(value))) if (isSecretKey(key) && typeof text === 'string') found.push(text);
  return found;
}

function parsed(value: string): object {
  try {
    return Object(JSON.parse(value)) as object;
  } catch {
    return {};
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function unquoted(text: string): string {
  return /^(['"]).*\1$/s.test(text) ? text.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : text;
}

const pairPattern = (): RegExp => /([a-z_]+)\s*=\s*('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\s&;,'"]+)/gi;
const secretKeys = /^(?:password|passwd|pwd|pgpassword|sslpassword|passphrase|secret|token|access_?token|api_?key|access_?key|secret_?key|private_?key|account_?key|shared_?access_?(?:key|signature)|sig)$/i;

function isSecretKey(key: string): boolean {
  return secretKeys.test(key);
}

const exampleUserinfo = 'user:password';

type Replacement = [RegExp, (...match: string[]) => string];

const patterns: readonly Replacement[] = [
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, () => hidden],
  // Userinfo up to the last @ before the path: a password may hold one itself. Our own messages show how a URL looks; a password that is
  // really that word is hidden above.
  [/([a-z][a-z0-9+.-]*:\/\/)([^\s/?#]*)@/gi, (all, scheme = '', userinfo = '') => (userinfo === exampleUserinfo ? all : `${scheme}${hidden}@`)],
  [/\b(authorization|proxy-authorization|private-token|x-api-key)(["']?\s*[:=]\s*["']?)(?:(bearer|basic|token)\s+)?[^\s"',;]+/gi, (_all, name = '', separator = '') => `${name}${separator}${hidden}`],
  [/\b(bearer|basic)\s+[a-z0-9+/_.~=-]{8,}/gi, (_all, scheme = '') => `${scheme} ${hidden}`],
  [pairPattern(), (all, key = '') => (isSecretKey(key) ? `${key}=${hidden}` : all)],
  // Control characters, those among them that break a line or reorder it on a terminal.
  [/[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, () => ' '],
];
