import { isSecret } from '../api/gvk.ts';
import { KollectError } from '../errors.ts';
import { attributeTypes, coerce, parseAttributeType } from './coerce.ts';
import type { AttributeType } from './coerce.ts';
import { compareUtf8 } from './compare-utf8.ts';
import { compilePath } from './compile-path.ts';
import type { CompiledPath, CompilePathOptions } from './compile-path.ts';
import { decodeHelmRelease } from './helm-release.ts';
import type { Json, JsonObject } from './json.ts';
import { readsMetadataOnly } from './read-path.ts';
import type { ReadPath } from './read-path.ts';
import { createRedactor, isMarker, maskSecret } from './redact.ts';
import type { Redactor } from './redact.ts';
import { compileResourceExport, keptMembers } from './resource-export.ts';
import type { ResourceExportSource } from './resource-export.ts';
import { createBudget, stepsPerObject } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';

/** The part of a KollectProfile that collection needs. */
export interface ProfileSource {
  metadata?: { name?: string | undefined } | undefined;
  spec: {
    targetGVK: { group?: string | undefined; version: string; kind: string };
    attributes?: readonly AttributeSource[] | undefined;
    export?: (ResourceExportSource & { mode?: string | undefined; as?: string | undefined; prune?: { scrubKeys?: readonly string[] | undefined } | undefined }) | undefined;
    metrics?: readonly MetricSource[] | undefined;
  };
}

export interface AttributeSource {
  name: string;
  path: string;
  type?: string | undefined;
  optional?: boolean | undefined;
}

/** The sum of the numbers of an attribute over all rows, or over those with equal labels. */
export interface MetricSource {
  name: string;
  /** Name of the attribute that is summed. */
  path: string;
  /** Names of the attributes that become labels. */
  labels?: readonly string[] | undefined;
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
  name: string;
  gvk: { group: string; version: string; kind: string };
  attributes: readonly AttributeSource[];
  metrics: readonly MetricSource[];
  /** True when objects may come without anything but their metadata. */
  metadataOnly: boolean;
  /**
   * What fails of single attributes is in `failures`.
   *
   * @param object as JSON.parse gives it
   * @throws KollectError KOL_EXTRACT_SIZE when all values together are more than a row can hold, see `maxRowBytes`
   */
  extract(object: object): Extraction;
}

/**
 * Compiles a profile once; `extract` then runs on every object. All values are redacted: by key, by text that is a key or token, and the data
 * of Secrets always. With `export.mode: Resource` the object itself is one more attribute.
 *
 * @throws KollectError KOL_EXTRACT_PATH or KOL_EXTRACT_CEL naming the attribute
 * @example compileProfile(profile).extract(deployment).attributes // { image: 'nginx:1.27', replicas: 3 }
 */
export function compileProfile(profile: ProfileSource, options: CompileProfileOptions = {}): CompiledProfile {
  const { targetGVK, attributes = [], export: exported, metrics = [] } = profile.spec;
  const redactor = createRedactor([...(options.scrubKeys ?? []), ...(exported?.prune?.scrubKeys ?? [])]);
  const budget = createBudget(stepsPerObject);
  const releases = releaseOfOneObject();
  const compiled = attributes.map((attribute) => compileAttribute(attribute, { redactor, budget, release: releases.decode }));
  if (exported?.mode === 'Resource') compiled.push(wholeObject(exported.as ?? 'resource', exported, budget));
  compiled.sort((a, b) => compareUtf8(a.name, b.name));
  const gvk = { group: targetGVK.group ?? '', version: targetGVK.version, kind: targetGVK.kind };
  return {
    name: profile.metadata?.name ?? '',
    gvk,
    attributes,
    metrics,
    // What metadata repeats of the data of a Secret is known by the data only.
    metadataOnly: !isSecret(gvk) && compiled.every(({ reads }) => readsMetadataOnly(reads)),
    extract: (object) => {
      try {
        return extract(object as JsonObject, { attributes: compiled, redactor, budget, isSecret: isSecret(gvk) });
      } finally {
        releases.forget();
      }
    },
  };
}

interface CompiledAttribute {
  name: string;
  /** The value without secrets. @param view the object, with the data of a Secret masked; @param object the same unmasked */
  read: (view: JsonObject, object: JsonObject, redact: (value: Json) => Json) => Json | undefined;
  /** See `CompiledPath`. */
  reads: readonly ReadPath[];
  optional: boolean;
  type: AttributeType | undefined;
  /** True when the path shows no key to judge the value by, but the attribute is named like one. */
  sensitive: boolean;
}

const maxMessageLength = 256;

interface AttributeTools {
  redactor: Redactor;
  budget: StepBudget;
  release: (secret: JsonObject) => JsonObject;
}

function compileAttribute({ name, path, type, optional = false }: AttributeSource, { redactor, budget, release }: AttributeTools): CompiledAttribute {
  // Assigning to this name would set a prototype instead of an attribute.
  if (name === '__proto__') throw new KollectError('KOL_EXTRACT_PATH', 'an attribute cannot be named "__proto__"; choose another name');
  const compiled = compileNamed(name, path, { guard: redactor.guard(budget), budget, release });
  const sensitive = compiled.language === 'cel' && redactor.isSensitive(name);
  // What a release says is judged by its keys; the data that holds it stays masked for all other paths.
  const raw = (view: JsonObject, object: JsonObject): Json | undefined => compiled.evaluate(compiled.language === 'helm' ? object : view);
  const read: CompiledAttribute['read'] = (view, object, redact) => {
    const value = raw(view, object);
    return value === undefined ? undefined : redact(value);
  };
  return { name, read, reads: compiled.reads, optional, type: attributeType(name, type), sensitive };
}

function wholeObject(name: string, source: ResourceExportSource, budget: StepBudget): CompiledAttribute {
  const resource = compileResourceExport(source, budget);
  const reads: ReadPath[] = (keptMembers(source)?.map((key) => [key]) ?? [[]]).map((prefix) => ({ prefix, extent: 'subtree' }));
  return { name, read: (view, _object, redact) => resource(view, redact), reads, optional: false, type: undefined, sensitive: false };
}

/** Several paths read one release; unpacking it, or finding that it cannot be unpacked, costs more than all of them. */
function releaseOfOneObject(): { decode: (secret: JsonObject) => JsonObject; forget: () => void } {
  let decoded: (() => JsonObject) | undefined;
  return {
    decode: (secret) => {
      decoded ??= attempt(() => decodeHelmRelease(secret));
      return decoded();
    },
    forget: () => {
      decoded = undefined;
    },
  };
}

function attempt<T>(work: () => T): () => T {
  try {
    const result = work();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
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
  const view = masked?.object ?? object;
  const attributes: Record<string, Json> = {};
  const failures: Extraction['failures'] = [];
  const redact = (value: Json): Json => {
    const redacted = redactor.redact(value, budget);
    return masked === undefined ? redacted : masked.conceal(redacted);
  };
  for (const attribute of compiled) {
    let value: Json | undefined;
    let message = 'no value';
    try {
      value = attribute.read(view, object, redact);
      if (value !== undefined) {
        if (attribute.sensitive) value = redactor.cover(value);
        const typed = typedValue(value, attribute.type);
        if (typed === undefined) message = `the value is not of type ${attribute.type}`;
        value = typed;
      }
    } catch (error) {
      if (error instanceof KollectError && error.code === 'KOL_EXTRACT_SIZE') throw error;
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

/** Anything but our own errors could repeat a value. */
function failureMessage(error: unknown): string {
  return error instanceof KollectError ? error.message : 'the value cannot be evaluated';
}
