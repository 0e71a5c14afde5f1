import type { AddressPolicy } from '../net/address-policy.ts';
import type { ExpressionJudge } from './expressions.ts';
import type { Report } from './finding.ts';

/**
 * A value of which any part may be missing: rules see what is left of an object when its schema refused the rest, so that one mistake
 * does not hide the next.
 */
export type Loose<T> = T extends readonly (infer I)[] ? readonly (Loose<I> | undefined)[] : T extends object ? { readonly [K in keyof T]?: Loose<T[K]> | undefined } : T;

/** What a rule may know of the object beside its spec, and of the installation. */
export interface RuleInput<Spec> {
  kind: string;
  name: string;
  /** `""` for cluster-scoped kinds. */
  namespace: string;
  annotations: Readonly<Record<string, string>>;
  spec: Loose<Spec>;
  addresses: AddressPolicy;
  expressions: ExpressionJudge;
  /** Ceiling of `maxExportBytes`; undefined means none. */
  maxExportBytes: number | undefined;
}

/** A rule looks at one field and reports what it has to say about it. It needs no other object and does no I/O. */
export interface Rule<Spec> {
  /** Unique in its kind, such as `attribute-path`. Stands in the catalogue, in logs and in the output of `kollect lint`. */
  id: string;
  /** The field it guards, as the catalogue writes it: `spec.attributes[].path`. */
  field: string;
  /** What it asks for or advises, one sentence for the catalogue. */
  asks: string;
  /** It never refuses an object: what it finds is a warning. */
  advises?: true;
  check(input: RuleInput<Spec>, report: Report): void;
}
