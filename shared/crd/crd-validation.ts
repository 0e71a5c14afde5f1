/** A CEL rule of a CRD: the part of an admission rule that the API server itself can hold. */
export interface CrdValidation extends CelCheck {
  kind: string;
  /** Id of the rule in `shared/admission` whose part it is; `schema` for what the schema of the kind says. */
  rule: string;
}

/** A CEL expression that must hold of every value at a place. */
export interface CelCheck {
  /** Where it stands in the schema: `spec`, `spec.tls`, `spec.targetRefs[]`. */
  at: string;
  /**
   * True for what is admitted; `self` is the value. It must not fail for any value that the schema takes: the API server forgives older objects what is
   * false, but not what fails. Fields that are words of CEL are written with underscores, `self.__namespace__`: otherwise their length is taken for unbounded.
   */
  expression: string;
  /** What is wrong and what to write instead, in the words of the rule. */
  message: string;
  /** The same as CEL, where the words depend on the value. `message` is said when it cannot be evaluated. */
  messageExpression?: string;
  /** The field below `at` that is at fault, such as `.layout`; `at` itself when unset. */
  fieldPath?: string;
  /** `FieldValueInvalid` when unset. */
  reason?: 'FieldValueRequired' | 'FieldValueForbidden' | 'FieldValueDuplicate';
}

/**
 * Names the kind and the rules that checks belong to.
 *
 * @example validationsOf('KollectTarget', { 'profile-ref': objectName('spec.profileRef', '…') })
 */
export function validationsOf(kind: string, checks: Readonly<Record<string, readonly CelCheck[]>>): CrdValidation[] {
  return Object.entries(checks).flatMap(([rule, list]) => list.map((check) => ({ kind, rule, ...check })));
}
