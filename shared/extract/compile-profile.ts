import { KollectError } from '../errors.ts';
import { attributeTypes, coerce, parseAttributeType } from './coerce.ts';
import type { AttributeType } from './coerce.ts';
import { compareUtf8 } from './compare-utf8.ts';
import { compilePath } from './compile-path.ts';
import type { CompiledPath, CompilePathOptions } from './compile-path.ts';
import { isJsonObject } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { createRedactor, maskSecret } from './redact.ts';
import type { Redactor } from './redact.ts';
import { createBudget, stepsPerObject } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';

/** The part of a KollectProfile that collection needs. */
export interface ProfileSource {
  spec: {
    targetGVK: { group?: string | undefined; version: string; kind: string };
    attributes?: readonly AttributeSource[] | undefined;
    export?: { mode?: string | undefined; prune?: { scrubKeys?: readonly string[] | undefined } | undefined } | undefined;
  };
}

export interface AttributeSource {
  name: string;
  path: string;
  type?: string | undefined;
  optional?: boolean | undefined;
}

export interface CompileProfileOptions {
  /** Keys to redact in this installation, besides the built-in ones. */
  scrubKeys?: readonly string[];
}

/** What collecting one object gave. */
export interface Extraction {
  /** Keys in canonical order. A required attribute without a value is null, an optional one is left out. */
  attributes: Record<string, Json>;
  /** Required attributes that are missing or failed, and values of the wrong type. Messages have at most 256 characters and hold no value. */
  failures: { attribute: string; message: string }[];
}

export interface CompiledProfile {
  gvk: { group: string; version: string; kind: string };
  /** @param object as JSON.parse gives it. Never throws; what fails is in `failures`. */
  extract(object: object): Extraction;
}

/**
 * Compiles a profile once; `extract` then runs on every object. All values are redacted: by key, by text that is a key or token, and the data
 * of Secrets always.
 *
 * @throws KollectError KOL_EXTRACT_PATH or KOL_EXTRACT_CEL naming the attribute; KOL_EXTRACT_UNSUPPORTED for Helm paths and `export.mode: Resource`
 * @example compileProfile(profile).extract(deployment).attributes // { image: 'nginx:1.27', replicas: 3 }
 */
export function compileProfile(profile: ProfileSource, options: CompileProfileOptions = {}): CompiledProfile {
  const { targetGVK, attributes = [], export: exported } = profile.spec;
  if (exported?.mode === 'Resource') {
    throw new KollectError('KOL_EXTRACT_UNSUPPORTED', 'export.mode Resource is not collected in this version; use mode Attributes');
  }
  const redactor = createRedactor([...(options.scrubKeys ?? []), ...(exported?.prune?.scrubKeys ?? [])]);
  const budget = createBudget(stepsPerObject);
  const compiled = attributes.map((attribute) => compileAttribute(attribute, redactor, budget)).sort((a, b) => compareUtf8(a.name, b.name));
  const gvk = { group: targetGVK.group ?? '', version: targetGVK.version, kind: targetGVK.kind };
  const isSecret = (gvk.group === '' || gvk.group === 'core') && gvk.kind === 'Secret';
  return { gvk, extract: (object) => extract(object as JsonObject, { attributes: compiled, redactor, budget, isSecret }) };
}

interface CompiledAttribute {
  name: string;
  path: CompiledPath;
  optional: boolean;
  type: AttributeType | undefined;
  /** True when the path shows no key to judge the value by, but the attribute is named like one. */
  sensitive: boolean;
}

const maxMessageLength = 256;

function compileAttribute({ name, path, type, optional = false }: AttributeSource, redactor: Redactor, budget: StepBudget): CompiledAttribute {
  // Assigning to this name would set a prototype instead of an attribute.
  if (name === '__proto__') throw new KollectError('KOL_EXTRACT_PATH', 'an attribute cannot be named "__proto__"; choose another name');
  const compiled = compileNamed(name, path, { guard: redactor.guard, budget });
  if (compiled.language === 'helm') {
    throw new KollectError('KOL_EXTRACT_UNSUPPORTED', `attribute "${name}": helm: paths are not collected in this version`);
  }
  const sensitive = compiled.language === 'cel' && redactor.isSensitive(name);
  return { name, path: compiled, optional, type: attributeType(name, type), sensitive };
}

function compileNamed(name: string, path: string, options: CompilePathOptions): CompiledPath {
  try {
    return compilePath(path, options);
  } catch (error) {
    if (!(error instanceof KollectError)) throw error;
    throw new KollectError(error.code, `attribute "${name}": ${error.message}`, { cause: error });
  }
}

function attributeType(name: string, type: string | undefined): AttributeType | undefined {
  if (type === undefined || type.trim() === '') return undefined;
  const known = parseAttributeType(type);
  if (known !== undefined) return known;
  throw new KollectError('KOL_EXTRACT_PATH', `attribute "${name}": unknown type "${type}"; use one of ${attributeTypes.join(', ')}`);
}

interface Extractor {
  attributes: readonly CompiledAttribute[];
  redactor: Redactor;
  budget: StepBudget;
  isSecret: boolean;
}

function extract(object: JsonObject, { attributes: compiled, redactor, budget, isSecret }: Extractor): Extraction {
  budget.reset();
  const masked = isSecret ? maskSecret(object) : undefined;
  const source = masked?.object ?? object;
  const attributes: Record<string, Json> = {};
  const failures: Extraction['failures'] = [];
  for (const attribute of compiled) {
    let value: Json | undefined;
    let message = 'no value';
    try {
      value = attribute.path.evaluate(source);
      if (value !== undefined) {
        value = redactor.redact(masked === undefined ? value : masked.conceal(value), budget);
        if (attribute.sensitive) value = redactor.guard('value', value, { name: attribute.name });
        const typed = typedValue(value, attribute.type);
        if (typed === undefined) message = `the value is not of type ${attribute.type}`;
        value = typed;
      }
    } catch (error) {
      value = undefined;
      message = failureMessage(error);
    }
    if (value !== undefined) attributes[attribute.name] = value;
    else if (!attribute.optional) {
      attributes[attribute.name] = null;
      failures.push({ attribute: attribute.name, message: message.slice(0, maxMessageLength) });
    }
  }
  return { attributes, failures };
}

function typedValue(value: Json, type: AttributeType | undefined): Json | undefined {
  return type === undefined || isMarker(value) ? value : coerce(value, type);
}

function isMarker(value: Json): boolean {
  return isJsonObject(value) && value.redacted === true && typeof value.reason === 'string' && Object.isFrozen(value);
}

/** Anything but our own errors could repeat a value. */
function failureMessage(error: unknown): string {
  return error instanceof KollectError ? error.message : 'the value cannot be evaluated';
}
