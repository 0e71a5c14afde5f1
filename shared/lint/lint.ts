import { basename } from 'node:path';
import { rememberingJudge } from '../admission/expressions.ts';
import { renderProblem, warning } from '../admission/finding.ts';
import type { Finding, FindingType } from '../admission/finding.ts';
import type { InstallationPolicy } from '../admission/policy.ts';
import { objectLookups } from '../admission/state/object-lookups.ts';
import { API_VERSION } from '../api/group.ts';
import type { KindDefinition } from '../api/kind.ts';
import type { KubeObject } from '../api/kube-object.ts';
import type { StructuralSchema } from '../crd/structural-schema.ts';
import { isObject } from '../values.ts';
import type { FileRule } from './file-rules.ts';
import { readHeader } from './header.ts';
import type { Header } from './header.ts';
import { filledIn, judge } from './judge.ts';
import { isKustomization } from './kustomization.ts';
import { objectSchema } from './object-schema.ts';
import { objectsOf, sortOf } from './objects.ts';
import { placeOf, sourceOf } from './placed.ts';
import type { Placed, Range } from './placed.ts';
import type { Source } from './source.ts';
import { unknownFields } from './unknown-fields.ts';
import { readYaml } from './yaml.ts';
import type { YamlText } from './yaml.ts';

export interface LintOptions {
  installation: InstallationPolicy;
  /** Of objects that name none. */
  namespace: string;
}

/** From the first character up to, without it, the last; all from 1, columns in UTF-16 code units. */
export interface Region {
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
}

export interface LintFinding {
  /** Name of the source. */
  file: string;
  /** Undefined when there is no text to point into. */
  region?: Region;
  severity: 'error' | 'warning';
  rule: string;
  object?: { kind: string; namespace: string; name: string };
  /** As Kubernetes writes it; undefined when the finding is about the file. */
  field?: string;
  type?: FindingType;
  /** What is wrong and what to write instead, without the field. */
  problem: string;
}

export interface LintResult {
  /** In the order of the sources, then by place. */
  findings: readonly LintFinding[];
  /** Kollect's own. */
  objects: number;
  /** Of other groups. */
  others: number;
  /** Whether everything could be read. */
  isComplete: boolean;
}

export interface LintedObjects extends LintResult {
  /** Kollect's own as an API server would store them, as far as their kinds are known. */
  stored(): KubeObject[];
}

/**
 * Judges the objects of texts as an API server with Kollect's webhook would, were they all applied to an empty cluster.
 *
 * @example lint([{ name: 'target.yaml', text: 'kind: KollectTarget…', isNamed: true }], { installation, namespace: 'default' })
 */
export function lint(sources: readonly Source[], options: LintOptions): LintedObjects {
  const run = new Run(options);
  for (const source of sources) run.read(source);
  return run.judge(sources);
}

/** One object of ours, with its place. */
interface Candidate extends Header {
  source: Source;
  yaml: YamlText;
  place: Placed;
}

/** One of a kind that is known. */
interface Judgeable {
  candidate: Candidate;
  schema: StructuralSchema;
  /** With the namespace that it will have. */
  object: KubeObject;
}

class Run {
  readonly #options: LintOptions;
  readonly #findings: LintFinding[] = [];
  readonly #candidates: Candidate[] = [];
  readonly #schemas = new Map<string, StructuralSchema>();
  #others = 0;
  #isComplete = true;

  constructor(options: LintOptions) {
    this.#options = options;
  }

  read(source: Source): void {
    const { problem } = source;
    if (problem !== undefined) return this.#unreadable({ file: source.name, problem });
    const yaml = readYaml(source.text, source.linesBefore);
    let isEmpty = true;
    for (const { root, problems } of yaml.documents) {
      for (const { rule, range, message } of problems) this.#aboutFile(rule, source, yaml, range, message);
      if (root === undefined && problems.length === 0) continue;
      isEmpty = false;
      for (const place of root === undefined ? [] : objectsOf(root)) this.#readObject(source, yaml, place);
    }
    if (isEmpty && source.isNamed) this.#unreadable({ file: source.name, problem: 'holds no object' });
  }

  judge(sources: readonly Source[]): LintedObjects {
    this.#reportDuplicates();
    const judgeable = this.#candidates.flatMap((candidate) => this.#judgeable(candidate));
    const { installation } = this.#options;
    // What inventories leave out depends on scopes, which leave nothing out.
    const scopes = objectLookups(judgeable.map(({ object }) => object));
    const stored = judgeable.map(({ candidate, object, schema }) => ({ candidate, object: filledIn(object, schema, scopes) }));
    const lookups = objectLookups(stored.map(({ object }) => object));
    const circumstances = { installation, lookups, expressions: rememberingJudge() };
    for (const { candidate, schema } of judgeable) unknownFields(schema, candidate.place.value, '', (finding) => this.#add(candidate, 'unknown-field', finding));
    for (const { candidate, object } of stored) for (const finding of judge(object, circumstances)) this.#add(candidate, finding.rule ?? 'schema', finding);
    const order = new Map(sources.map(({ name }, index) => [name, index]));
    const findings = this.#findings.toSorted((a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || (a.region?.line ?? 0) - (b.region?.line ?? 0) || (a.region?.column ?? 0) - (b.region?.column ?? 0));
    return { findings, objects: this.#candidates.length, others: this.#others, isComplete: this.#isComplete, stored: () => stored.map(({ object }) => object) };
  }

  #readObject(source: Source, yaml: YamlText, place: Placed): void {
    const sort = sortOf(place);
    if (sort === 'other') this.#others++;
    if (sort === 'none' && source.isNamed) this.#aboutFile('unreadable', source, yaml, { start: place.range.start, end: place.range.start }, noObject(source.name, place));
    if (sort !== 'ours') return;
    const reported: [FileRule, Finding][] = [];
    const header = readHeader(place.value as Record<string, unknown>, this.#options.namespace, (rule, finding) => reported.push([rule, finding]));
    const candidate = { ...header, source, yaml, place };
    this.#candidates.push(candidate);
    for (const [rule, finding] of reported) this.#add(candidate, rule, finding);
  }

  /** The same object in a base and in what is built from it is no mistake; twice in one installation it is. */
  #reportDuplicates(): void {
    const first = new Map<string, Candidate>();
    for (const candidate of this.#candidates) {
      const { kind, namespace, name } = candidate;
      const key = JSON.stringify([kind, namespace, name]);
      const other = first.get(key);
      if (other === undefined) first.set(key, candidate);
      else this.#add(candidate, 'duplicate-object', warning('metadata.name', `is defined in ${other.source.name}:${other.yaml.position(placeOf(other.place, 'metadata.name').start).line} too; what is applied last wins`));
    }
  }

  #judgeable(candidate: Candidate): Judgeable[] {
    const { definition, place, name, namespace } = candidate;
    if (definition === undefined) return [];
    const { kind } = definition;
    const given = place.value as Record<string, unknown>;
    const metadata = { ...withTexts(isObject(given.metadata) ? given.metadata : {}), name, ...(namespace === '' ? {} : { namespace }) };
    return [{ candidate, schema: this.#schemaOf(definition), object: { ...given, apiVersion: API_VERSION, kind, metadata } }];
  }

  #schemaOf(definition: KindDefinition): StructuralSchema {
    const known = this.#schemas.get(definition.kind);
    if (known !== undefined) return known;
    const schema = objectSchema(definition);
    this.#schemas.set(definition.kind, schema);
    return schema;
  }

  #add({ source, yaml, place, kind, namespace, name }: Candidate, rule: string, finding: Finding): void {
    const { severity, field, type } = finding;
    const problem = inItsOwnWords(renderProblem(finding), finding.value, sourceOf(place, field));
    this.#findings.push({ file: source.name, region: region(yaml, placeOf(place, field)), severity, rule, object: { kind, namespace, name }, field, type, problem });
  }

  #aboutFile(rule: FileRule, source: Source, yaml: YamlText, range: Range, problem: string): void {
    if (rule === 'unreadable') this.#isComplete = false;
    this.#findings.push({ file: source.name, region: region(yaml, range), severity: 'error', rule, problem });
  }

  #unreadable({ file, problem }: { file: string; problem: string }): void {
    this.#isComplete = false;
    this.#findings.push({ file, severity: 'error', rule: 'unreadable' satisfies FileRule, problem });
  }
}

function region(yaml: YamlText, { start, end }: Range): Region {
  const from = yaml.position(start);
  const to = yaml.position(Math.max(start, end));
  return { line: from.line, column: from.column, endLine: to.line, endColumn: to.column };
}

/** YAML reads `no` as false and 1e3 as 1000, and who is told to write quotes has to keep what stands there. */
function inItsOwnWords(problem: string, value: unknown, source: string | undefined): string {
  if (source === undefined || (typeof value !== 'boolean' && typeof value !== 'number')) return problem;
  return problem.replace(`"${value}"`, () => JSON.stringify(source));
}

/** An annotation without its quotes is one mistake; rules judge it as it is meant. */
function withTexts(metadata: Record<string, unknown>): Record<string, unknown> {
  const { annotations } = metadata;
  if (!isObject(annotations)) return metadata;
  return { ...metadata, annotations: Object.fromEntries(Object.entries(annotations).map(([key, value]) => [key, typeof value === 'boolean' || typeof value === 'number' ? String(value) : value])) };
}

function noObject(name: string, { items }: Placed): string {
  if (items !== undefined) return 'is no Kubernetes object but a list; write its objects one after another with --- between them, or as the items of a List';
  const hint = isKustomization(basename(name)) ? 'build it first, and lint the output: kubectl kustomize . | kollect lint -' : `objects begin with apiVersion, such as ${API_VERSION}, and kind`;
  return `is no Kubernetes object; ${hint}`;
}
