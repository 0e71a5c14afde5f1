import { isObject } from '../values.ts';
import type { ExpressionJudge } from './expressions.ts';
import { sortFindings } from './finding.ts';
import type { Finding } from './finding.ts';
import type { Lookups } from './lookups.ts';
import { applyDefaults, needsFloor } from './mutate.ts';
import { policyFinding } from './policy.ts';
import type { InstallationPolicy } from './policy.ts';
import { isUnchangedSince } from './ratchet.ts';
import { accessQuestions } from './state/access-questions.ts';
import type { AccessQuestion } from './state/access-questions.ts';
import { stateRulesOf } from './state/registry.ts';
import { validateState } from './state/validate-state.ts';
import { validate } from './validate.ts';

/** An object that is to be stored. */
export interface Subject {
  kind: string;
  object: unknown;
  /** That of the request, which counts more than what the object says; `""` for cluster-scoped kinds. */
  namespace: string;
  /** What is stored already, on update. */
  old?: unknown;
}

export interface Circumstances {
  installation: InstallationPolicy;
  expressions: ExpressionJudge;
  /** Other objects; undefined as long as they are not known. */
  lookups: Lookups | undefined;
  /** Other objects as soon as they are known; asked for only without `lookups`. */
  known?: () => Promise<Lookups>;
  /** What refuses the object because its writer may not do what Kollect will do for it. Left out, nobody asks. */
  authorize?: ((questions: readonly AccessQuestion[]) => Promise<Finding[]>) | undefined;
}

/** Whoever has all objects at hand, and asks nobody, knows at once. */
type AtOnce = Circumstances & { lookups: Lookups; authorize?: undefined };

/**
 * All that admission has to say about an object, errors first: by the policy of the installation, then by the object itself, by other objects, and at last
 * by the rights of its writer. Each step is left out when the one before it refused. At once where everything is known. What is being deleted is not judged.
 *
 * Rejects or throws with what `known`, `authorize` and the lookups do.
 */
export function judgeObject(subject: Subject, circumstances: AtOnce): Finding[];
export function judgeObject(subject: Subject, circumstances: Circumstances): Finding[] | Promise<Finding[]>;
export function judgeObject(subject: Subject, circumstances: Circumstances): Finding[] | Promise<Finding[]> {
  const { kind, object, old } = subject;
  // Whoever removes finalizers must not be stopped by a spec that is no longer valid.
  if (isBeingDeleted(object)) return [];
  const refusal = policyFinding(kind, circumstances.installation);
  if (refusal !== undefined) return [refusal];
  // What is stored may lack the interval that this update was given on its way, and scopes say which one.
  if (old !== undefined && needsFloor(kind, old)) return withLookups(circumstances, (lookups) => judgeByRules(subject, { ...circumstances, lookups }));
  return judgeByRules(subject, circumstances);
}

/** Whether an object only waits for its finalizers. */
export function isBeingDeleted(object: unknown): boolean {
  return isObject(object) && isObject(object.metadata) && typeof object.metadata.deletionTimestamp === 'string';
}

function judgeByRules(subject: Subject, circumstances: Circumstances): Finding[] | Promise<Finding[]> {
  const { kind, object, namespace, old } = subject;
  const { installation, expressions, lookups, authorize } = circumstances;
  const filled = (form: unknown): unknown => applyDefaults(kind, form, { lookups, namespace });
  const isUnchanged = old === undefined ? undefined : (): boolean => isUnchangedSince(filled(old), filled(object));
  const findings = validate(kind, object, { policy: installation.addresses, maxExportBytes: installation.maxExportBytes, expressions, namespace, isUnchanged });
  // What the schema refuses and is tolerated, because it is stored so and unchanged, has no shape that it could be compared by.
  if (hasErrors(findings) || !needsOthers(kind, circumstances) || findings.some(({ rule }) => rule === 'schema')) return findings;

  return withLookups(circumstances, (others) => {
    const found = validateState(kind, object, { lookups: others, expressions, namespace, isUnchanged });
    const all = found.length === 0 ? findings : sortFindings([...findings, ...found]);
    if (authorize === undefined || hasErrors(all)) return all;
    const questions = accessQuestions({ kind, object: filled(object), namespace, old: old === undefined ? undefined : filled(old) }, others);
    return questions.length === 0 ? all : authorize(questions).then((refusals) => sortFindings([...all, ...refusals]));
  });
}

/** Whether a kind is judged by other objects. What they only advise is said when they are known, and never waited for. */
function needsOthers(kind: string, { lookups, authorize }: Circumstances): boolean {
  const rules = stateRulesOf(kind);
  return rules.some(({ advises }) => advises !== true) || (kind === 'KollectProfile' && authorize !== undefined) || (rules.length > 0 && lookups !== undefined);
}

function withLookups<T>({ lookups, known }: Circumstances, use: (lookups: Lookups) => T | Promise<T>): T | Promise<T> {
  if (lookups !== undefined) return use(lookups);
  if (known === undefined) throw new TypeError('nothing tells of other objects');
  return known().then(use);
}

function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some(({ severity }) => severity === 'error');
}
