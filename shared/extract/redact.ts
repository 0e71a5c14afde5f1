import { KollectError } from '../errors.ts';
import { isJsonObject } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import type { MemberGuard } from './jsonpath.ts';
import { lastAppliedAnnotation } from './secret-guard.ts';
import type { StepBudget } from './step-budget.ts';

/** Names of members whose values are never collected. Installations and profiles may add to them, not take away. */
export const builtInScrubKeys = [
  'password',
  'passwd',
  'secret',
  'token',
  'apikey',
  'api_key',
  'privatekey',
  'private_key',
  'credential',
  'auth',
  'clientsecret',
  'connectionstring',
] as const;

/** Stands for a value that was under a sensitive key. */
export const redactedKey: Json = Object.freeze({ redacted: true, reason: 'sensitive-key' });
/** Stands for a text that is a private key or a bearer token, or that holds the login of a URL, wherever it was. */
export const redactedText: Json = Object.freeze({ redacted: true, reason: 'sensitive-value' });
/** Stands for the data of a Secret. */
export const redactedSecretData: Json = Object.freeze({ redacted: true, reason: 'secret-data' });

/** True for what stands for a secret; it is one value, and nothing in it can be read or taken out. */
export function isMarker(value: Json): boolean {
  return value === redactedKey || value === redactedText || value === redactedSecretData;
}

export interface Redactor {
  /** True when a key equals a scrub key or ends with one longer than two characters, in any case. */
  isSensitive(key: string): boolean;
  /**
   * The value with everything sensitive replaced by a marker; the same value where nothing is.
   *
   * @throws KollectError KOL_EXTRACT_EVALUATE for values nested deeper than 256 levels, and when the budget is spent
   */
  redact(value: Json, budget: StepBudget): Json;
  /** Redacts a member that a path ends at, where its key is known. Bools and numbers stay: they were asked for by name and hide nothing. */
  guard: MemberGuard;
}

/**
 * Builds the redaction for the built-in keys and the given ones.
 *
 * @example createRedactor(['pin']).redact({ user: 'a', dbPassword: 'b' }, budget) // { user: 'a', dbPassword: { redacted: true, reason: 'sensitive-key' } }
 */
export function createRedactor(scrubKeys: readonly string[] = []): Redactor {
  const pattern = keyPattern([...builtInScrubKeys, ...scrubKeys]);
  const isSensitive = (key: string): boolean => pattern.test(key);
  const redact = (value: Json, depth: number, budget: StepBudget): Json => {
    if (typeof value === 'string') return isSecretText(value) ? redactedText : value;
    if (typeof value !== 'object' || value === null || isMarker(value)) return value;
    if (depth > maxDepth) throw new KollectError('KOL_EXTRACT_EVALUATE', `the value is nested deeper than ${maxDepth} levels`);
    return Array.isArray(value) ? redactList(value, depth, budget) : redactMap(value, depth, budget);
  };
  const redactList = (list: Json[], depth: number, budget: StepBudget): Json => {
    budget.charge(list.length + 1);
    let copy: Json[] | undefined;
    for (let i = 0; i < list.length; i++) {
      const item = list[i] as Json;
      const redacted = redact(item, depth + 1, budget);
      if (redacted === item) continue;
      copy ??= list.slice();
      copy[i] = redacted;
    }
    return copy ?? list;
  };
  const redactMap = (map: JsonObject, depth: number, budget: StepBudget): Json => {
    const keys = Object.keys(map);
    // Testing a key against all scrub keys takes about two steps.
    budget.charge(2 * keys.length + 1);
    let changed: Map<string, Json> | undefined;
    for (const key of keys) {
      const value = map[key] as Json;
      const redacted = !isMarker(value) && hides(key, value, map) ? redactedKey : redact(value, depth + 1, budget);
      if (redacted !== value) (changed ??= new Map()).set(key, redacted);
    }
    if (changed === undefined) return map;
    // fromEntries makes own members of all keys, also of __proto__.
    return Object.fromEntries(keys.map((key) => [key, changed.get(key) ?? (map[key] as Json)]));
  };
  const hides = (key: string, value: Json, parent: JsonObject): boolean =>
    isSensitive(key) || key === lastAppliedAnnotation || isReference(key, value) || (key === 'value' && typeof parent.name === 'string' && isSensitive(parent.name));

  return {
    isSensitive,
    redact: (value, budget) => redact(value, 0, budget),
    guard: (key, value, parent) => (isText(value) && hides(key, value, parent) ? redactedKey : value),
  };
}

const maxDepth = 256;

/** Matches a key that ends with a scrub key, or equals one that is too short to be looked for at the end. */
function keyPattern(keys: readonly string[]): RegExp {
  const cleaned = keys.map((key) => key.trim().toLowerCase()).filter((key) => key !== '');
  const ending = cleaned.filter((key) => key.length > 2).map((key) => literal(key));
  const whole = cleaned.filter((key) => key.length <= 2).map((key) => literal(key));
  const parts = [`(?:${ending.join('|')})\\s*$`];
  if (whole.length > 0) parts.push(`^\\s*(?:${whole.join('|')})\\s*$`);
  return new RegExp(parts.join('|'), 'i');
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** References to Secrets, and the key of a certificate. */
function isReference(key: string, value: Json): boolean {
  if (!isJsonObject(value)) return false;
  if (key === 'secretKeyRef' || key === 'secretRef') return true;
  return (key === 'valueFrom' && 'secretKeyRef' in value) || (key === 'tls' && 'key' in value);
}

function isText(value: Json): boolean {
  return typeof value === 'string' || (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string'));
}

/** A PEM private key, a URL with a password, or a JSON web token: three base64url parts of which the first is a JSON object. */
function isSecretText(text: string): boolean {
  if (text.includes('://') && urlWithPassword.test(text)) return true;
  if (text.length < 40) return false;
  if (text.startsWith('eyJ')) return /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(text);
  return text.includes('-----BEGIN ') && /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text);
}

/** A login before the host. `$(PASSWORD)` and `${PASSWORD}` are references, which hide nothing. */
const urlWithPassword = /:\/\/[^\s/?#@:"'<>]*:(?!\$[({])[^\s/?#@"'<>]+@/;

/** A Secret whose data is masked, and the maps in it that must not appear as maps. */
export interface MaskedSecret {
  object: JsonObject;
  /** Replaces the masked maps inside a value by the marker of secret data. */
  conceal(value: Json): Json;
}

/**
 * A view of a Secret in which every value of `data` and `stringData`, and kubectl's copy of them, is the marker. Paths and expressions are evaluated on
 * it, so that nothing they compute can hold the data.
 */
export function maskSecret(secret: JsonObject): MaskedSecret {
  const object: JsonObject = { ...secret };
  const masked: Json[] = [];
  for (const field of ['data', 'stringData']) {
    const values = secret[field];
    if (values === undefined || values === null) continue;
    const map: Json = isJsonObject(values)
      ? Object.fromEntries(Object.keys(values).map((key) => [key, redactedSecretData]))
      : redactedSecretData;
    object[field] = map;
    masked.push(map);
  }
  const metadata = secret.metadata;
  if (isJsonObject(metadata) && isJsonObject(metadata.annotations) && Object.hasOwn(metadata.annotations, lastAppliedAnnotation)) {
    object.metadata = { ...metadata, annotations: { ...metadata.annotations, [lastAppliedAnnotation]: redactedSecretData } };
  }
  return { object, conceal: (value) => (masked.length === 0 ? value : conceal(value, masked)) };
}

function conceal(value: Json, masked: readonly Json[]): Json {
  if (typeof value !== 'object' || value === null || isMarker(value)) return value;
  if (masked.includes(value)) return redactedSecretData;
  if (Array.isArray(value)) return value.map((item) => conceal(item, masked));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, conceal(member, masked)]));
}
