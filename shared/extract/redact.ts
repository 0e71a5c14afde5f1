import { KollectError } from '../errors.ts';
import { isJsonObject, setMember } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import type { MemberGuard } from './jsonpath.ts';
import { lastAppliedAnnotation } from './secret-guard.ts';
import { isSecretText } from './secret-text.ts';
import { maxOrderedKeys, type StepBudget } from './step-budget.ts';

/** Names of members whose values are never collected. Installations and profiles may add to them, not take away. */
export const builtInScrubKeys = [
  'password',
  'passwd',
  'secret',
  'token',
  'apikey',
  'api_key',
  'api-key',
  'accesskey',
  'access_key',
  'access-key',
  'privatekey',
  'private_key',
  'private-key',
  'credential',
  'auth',
  'clientsecret',
  'connectionstring',
  'passphrase',
  'pwd',
] as const;

/** Stands for a value that was under a sensitive key. */
export const redactedKey: Json = Object.freeze({ redacted: true, reason: 'sensitive-key' });
/** Stands for a text that holds a credential, wherever it was. */
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
   * The value with everything sensitive replaced by a marker; the same value where nothing is. Counts what it holds as collected.
   *
   * @throws KollectError KOL_EXTRACT_EVALUATE for values nested deeper than 256 levels, and when the budget is spent; KOL_EXTRACT_SIZE
   */
  redact(value: Json, budget: StepBudget): Json;
  /**
   * What a path finds when it steps to a member: at a sensitive key a copy in which texts and numbers are markers, so that nothing below can be
   * reached either. Bools stay: they were asked for by name and hide nothing. So do references to Secrets, which `redact` hides where they were not asked for.
   * `redact` makes one marker of such a copy.
   */
  guard(budget: StepBudget): MemberGuard;
  /** The value of an attribute that is named like a secret: a text, or a list of texts, is one. */
  cover(value: Json): Json;
}

/**
 * Builds the redaction for the built-in keys and the given ones.
 *
 * @example createRedactor(['pin']).redact({ user: 'a', dbPassword: 'b' }, budget) // { user: 'a', dbPassword: { redacted: true, reason: 'sensitive-key' } }
 */
export function createRedactor(scrubKeys: readonly string[] = []): Redactor {
  const pattern = keyPattern([...builtInScrubKeys, ...scrubKeys]);
  // The keys of objects are few and the same again and again.
  const known = new Map<string, boolean>();
  const isSensitive = (key: string): boolean => {
    let sensitive = known.get(key);
    if (sensitive === undefined) {
      sensitive = pattern.test(key);
      if (known.size >= maxKnownKeys) known.clear();
      if (key.length <= maxKnownLength) known.set(key, sensitive);
    }
    return sensitive;
  };
  const veiled = new WeakSet<object>();
  const redact = (value: Json, depth: number, budget: StepBudget): Json => {
    if (typeof value === 'string') {
      if (value.length > freeLength) budget.charge(value.length >> 4);
      budget.collect(value.length);
      return isSecretText(value) ? redactedText : value;
    }
    if (typeof value !== 'object' || value === null || isMarker(value)) return value;
    if (veiled.has(value)) return redactedKey;
    refuseDepth(depth);
    return Array.isArray(value) ? redactList(value, depth, budget) : redactMap(value, depth, budget);
  };
  const redactList = (list: Json[], depth: number, budget: StepBudget): Json => {
    budget.charge(list.length + 1);
    budget.collect(list.length);
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
    // Before looking at the keys, for which a budget that is spent has nothing left.
    budget.charge(1);
    const keys = Object.keys(map);
    budget.charge((keys.length > maxOrderedKeys ? stepsPerTableKey : stepsPerKey) * keys.length);
    let changed: Map<string, Json> | undefined;
    for (const key of keys) {
      budget.collect(key.length);
      const value = map[key] as Json;
      const redacted = !isMarker(value) && hides(key, value, map) ? redactedKey : redact(value, depth + 1, budget);
      if (redacted !== value) (changed ??= new Map()).set(key, redacted);
    }
    if (changed === undefined) return map;
    const copy: JsonObject = {};
    for (const key of keys) setMember(copy, key, changed.get(key) ?? map[key]);
    return copy;
  };
  const hides = (key: string, value: Json, parent: JsonObject): boolean => isReference(key, value) || hidesBelow(key, value, parent);
  const hidesBelow = (key: string, value: Json, parent: JsonObject): boolean =>
    isSensitive(key) || key === lastAppliedAnnotation || isCertificate(key, value) || (key === 'value' && typeof parent.name === 'string' && isSensitive(parent.name));
  const veil = (value: Json, depth: number, budget: StepBudget): Json => {
    if (typeof value === 'boolean' || value === null) return value;
    const isList = Array.isArray(value);
    if (!isList && !isJsonObject(value)) return redactedKey;
    if (isMarker(value) || veiled.has(value)) return value;
    refuseDepth(depth);
    budget.charge(stepsPerVeiled);
    const members = Object.entries(value);
    budget.charge(stepsPerVeiled * members.length);
    const copies = members.map(([key, member]): [string, Json] => [key, veil(member, depth + 1, budget)]);
    // fromEntries makes own members of all keys, also of __proto__.
    const copy = isList ? copies.map(([, member]) => member) : Object.fromEntries(copies);
    veiled.add(copy);
    return copy;
  };

  return {
    isSensitive,
    redact: (value, budget) => redact(value, 0, budget),
    guard: (budget) => (key, value, parent) => (hidesBelow(key, value, parent) ? veil(value, 0, budget) : value),
    cover: (value) => (isText(value) ? redactedKey : value),
  };
}

/** Testing a key against all scrub keys, and writing the member later on. */
const stepsPerKey = 2;
/** The same of maps of more than `maxOrderedKeys`. */
const stepsPerTableKey = 12;
const maxKnownKeys = 1000;
const maxKnownLength = 64;
const maxDepth = 256;
/** Searching a text as short as this costs less than reading it did. */
const freeLength = 256;

function refuseDepth(depth: number): void {
  if (depth > maxDepth) throw new KollectError('KOL_EXTRACT_EVALUATE', `the value is nested deeper than ${maxDepth} levels`);
}

/** Copying a member, and remembering the copy. */
const stepsPerVeiled = 8;

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

/** References to Secrets. */
function isReference(key: string, value: Json): boolean {
  return isJsonObject(value) && (key === 'secretKeyRef' || key === 'secretRef' || (key === 'valueFrom' && 'secretKeyRef' in value));
}

/** A certificate with its key. */
function isCertificate(key: string, value: Json): boolean {
  return key === 'tls' && isJsonObject(value) && 'key' in value;
}

function isText(value: Json): boolean {
  return typeof value === 'string' || (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string'));
}

/** A Secret whose data is masked, and the maps in it that must not appear as maps. */
export interface MaskedSecret {
  object: JsonObject;
  /** Replaces the masked maps inside a value by the marker of secret data. */
  conceal(value: Json): Json;
}

/**
 * A view of a Secret in which every value of `data` and `stringData`, and every copy of them in an annotation, is the marker. Paths and expressions are evaluated on
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
  if (isJsonObject(metadata) && isJsonObject(metadata.annotations)) {
    const annotations = Object.entries(metadata.annotations).map(([key, text]): [string, Json] => [key, key === lastAppliedAnnotation || isCopy(text) ? redactedSecretData : text]);
    object.metadata = { ...metadata, annotations: Object.fromEntries(annotations) };
  }
  return { object, conceal: (value) => (masked.length === 0 ? value : conceal(value, masked)) };
}

/** Tools that apply objects keep what they applied as JSON. */
function isCopy(text: Json): boolean {
  return typeof text === 'string' && /^\s*[[{]/.test(text) && /"(?:data|stringData)\\*"\s*:/.test(text);
}

function conceal(value: Json, masked: readonly Json[]): Json {
  if (typeof value !== 'object' || value === null || isMarker(value)) return value;
  if (masked.includes(value)) return redactedSecretData;
  if (Array.isArray(value)) return value.map((item) => conceal(item, masked));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, conceal(member, masked)]));
}
