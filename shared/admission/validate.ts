import { kindByName } from '../api/kinds.ts';
import { defaultAddressPolicy } from '../net/address-policy.ts';
import type { AddressPolicy } from '../net/address-policy.ts';
import { isObject, textOf } from '../values.ts';
import { rememberingJudge } from './expressions.ts';
import type { ExpressionJudge } from './expressions.ts';
import { invalid, required, tooMany } from './finding.ts';
import type { Finding, Report } from './finding.ts';
import { tolerant } from './ratchet.ts';
import type { RuleInput } from './rule.ts';
import { rulesOf } from './rules/registry.ts';
import { isSaidBy, schemaFindings, withoutRefused } from './schema-findings.ts';
import { schemaIssues } from './schema-issues.ts';

/** What validation may know beside the object. All optional: left out, it judges as an installation without flags does. */
export interface AdmissionContext {
  /** What sinks may point to. */
  policy?: AddressPolicy;
  /** Ceiling of every `maxExportBytes`; left out means none. */
  maxExportBytes?: number | undefined;
  /** Namespace of the request, which counts more than what the object says. */
  namespace?: string;
  /** On update, whether it leaves alone all that rules judge: what was accepted once is warned about then, not refused. Asked only when something is refused. */
  isUnchanged?: (() => boolean) | undefined;
  /** Judges paths and policies; left out, each is compiled once. */
  expressions?: ExpressionJudge;
}

/**
 * Everything there is to say about an object: all errors at once, ordered by field, then all warnings. Never throws for an object,
 * whatever its shape.
 *
 * @example validate('KollectTarget', { metadata: { name: 'web' }, spec: { profileRef: 'other/web' } })
 * // [{ severity: 'error', field: 'spec.profileRef', type: 'Invalid', value: 'other/web', detail: 'write only a name such as "web"; …' }]
 */
export function validate(kind: string, object: unknown, context: AdmissionContext = {}): Finding[] {
  const definition = kindByName(kind);
  if (definition === undefined) return [ofSchema(invalid('kind', kind, 'is not a kind of this API'))];
  if (!isObject(object)) return [ofSchema(required('spec', 'the object is empty'))];
  if (object.spec === undefined || object.spec === null) return [ofSchema(required('spec', `write what is wanted of the ${kind}; kubectl explain ${definition.singular}.spec lists its fields`))];
  const excess = excessOf(object.spec);
  if (excess !== undefined) return [ofSchema(tooMany('spec', `more than ${excess}`, `must have at most ${maxValues} values and ${maxCharacters} characters, at most ${maxDepth} levels deep`))];

  const metadata = isObject(object.metadata) ? object.metadata : {};
  const findings: Finding[] = [];
  const issues = schemaIssues(definition.spec, object.spec);
  if (issues.length === 0) applyRules(kind, metadata, object.spec, context, (finding) => findings.push(finding));
  else {
    const refused = schemaFindings(issues, object.spec, 'spec', definition.spec).map(ofSchema);
    const isSaid = isSaidBy(refused);
    findings.push(...refused);
    applyRules(kind, metadata, withoutRefused(object.spec, issues), context, (finding) => {
      if (!isSaid(finding)) findings.push(finding);
    });
  }

  return tolerant(findings, context.isUnchanged);
}

function ofSchema(finding: Finding): Finding {
  return { ...finding, rule: 'schema' };
}

function applyRules(kind: string, metadata: Record<string, unknown>, spec: unknown, context: AdmissionContext, report: Report): void {
  if (!isObject(spec)) return;
  const input: RuleInput<never> = {
    kind,
    name: textOf(metadata.name),
    namespace: context.namespace ?? textOf(metadata.namespace),
    annotations: isObject(metadata.annotations) ? (metadata.annotations as Record<string, string>) : {},
    // What the schema refused is gone, so the rest is what the schema says, with gaps.
    spec: spec as never,
    addresses: context.policy ?? defaultAddressPolicy,
    expressions: context.expressions ?? rememberingJudge(),
    maxExportBytes: context.maxExportBytes,
  };
  for (const { id, check } of rulesOf(kind)) check(input, (finding) => report({ ...finding, rule: id }));
}

/** Objects of these kinds have some dozens of values, a few levels deep. Whoever sends a million means to keep the process busy. */
const maxValues = 20_000;
const maxDepth = 64;
/** The largest single text is a bundle of certificates of 64 KiB. */
const maxCharacters = 524_288;

/** What a value has too much of, such as `20000 values`; undefined when it can be judged. */
function excessOf(root: unknown): string | undefined {
  const left = { values: maxValues, characters: maxCharacters };
  if (!exceeds(root, left, 0)) return undefined;
  if (left.characters < 0) return `${maxCharacters} characters`;
  return left.values < 0 ? `${maxValues} values` : `${maxDepth} levels`;
}

/** Takes what a value holds from what is left; true when it is more, or too deep. */
function exceeds(value: unknown, left: { values: number; characters: number }, depth: number): boolean {
  left.values--;
  if (typeof value === 'string') left.characters -= value.length;
  if (left.values < 0 || left.characters < 0 || depth > maxDepth) return true;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) {
    if (value.length > left.values) left.values = -1;
    return left.values < 0 || value.some((item) => exceeds(item, left, depth + 1));
  }
  for (const key in value) {
    left.characters -= key.length;
    if (exceeds((value as Record<string, unknown>)[key], left, depth + 1)) return true;
  }
  return false;
}
