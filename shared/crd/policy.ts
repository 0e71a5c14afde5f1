/** What a ValidatingAdmissionPolicy holds of some rules: data, from which the manifest is made. */
export interface Policy {
  /** Of the policy and of its binding. */
  name: string;
  /** Says it in the manifest. */
  description: string;
  kinds: readonly string[];
  /** CEL expressions under names that those behind them can use as `variables.<name>`. */
  variables?: Readonly<Record<string, string>>;
  findings: readonly PolicyFinding[];
  /** CEL that is true for an update that leaves alone what the policy judges: such an update must not fail for what was stored before. */
  unchanged?: string;
  /** `Invalid` when unset. */
  reason?: 'Forbidden';
  /** For installations that ask for it: not part of the default. */
  overlay?: 'tenant';
}

/** A part of a rule. */
export interface PolicyFinding {
  /** Id of the rule in `shared/admission`. */
  rule: string;
  /** CEL that lists the fields that break it; empty for what is admitted. */
  fields: string;
  /** What is wrong and what to write instead, in the words of the rule. */
  says: string;
}
