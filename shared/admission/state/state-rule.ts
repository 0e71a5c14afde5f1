import type { ExpressionJudge } from '../expressions.ts';
import { forbidden } from '../finding.ts';
import type { Finding, Report } from '../finding.ts';
import type { Lookups, ScopeLookups } from '../lookups.ts';
import type { Loose } from '../rule.ts';

/** What scopes judge an object by. */
export interface BoundInput<Spec> {
  kind: string;
  name: string;
  /** `""` for cluster-scoped kinds. */
  namespace: string;
  spec: Loose<Spec>;
  lookups: ScopeLookups;
}

/** What a rule may know that looks at other objects, too. */
export interface StateInput<Spec> extends BoundInput<Spec> {
  lookups: Lookups;
  annotations: Readonly<Record<string, string>>;
  expressions: ExpressionJudge;
}

/** A rule that needs other objects of the cluster to judge one. It does no I/O. */
export interface StateRule<Spec, Input = StateInput<Spec>> {
  /** Unique in its kind, such as `scope-gvks`. Stands in the catalogue, in logs and in the output of `kollect lint`. */
  id: string;
  /** The field it guards, as the catalogue writes it: `spec.databaseSinkRefs[].name`. */
  field: string;
  /** What it asks for or advises, one sentence for the catalogue. */
  asks: string;
  /** It only warns, so nobody has to wait for what it wants to know. */
  advises?: true;
  check(input: Input, report: Report): void;
}

/** Refused by a policy of the cluster, however well the object is written. */
export function denied(field: string, detail: string): Finding {
  return { ...forbidden(field, detail), policy: true };
}
