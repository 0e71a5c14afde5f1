import type { ExpressionJudge } from '../admission/expressions.ts';
import { forbidden } from '../admission/finding.ts';
import type { Finding } from '../admission/finding.ts';
import { applyDefaults } from '../admission/mutate.ts';
import { policyRefusal } from '../admission/policy.ts';
import type { InstallationPolicy } from '../admission/policy.ts';
import { validate } from '../admission/validate.ts';
import type { KindDefinition } from '../api/kind.ts';
import { withSchemaDefaults } from '../crd/schema-defaults.ts';
import type { StructuralSchema } from '../crd/structural-schema.ts';

export interface Judgement {
  definition: KindDefinition;
  /** Of the whole object. */
  schema: StructuralSchema;
  namespace: string;
  installation: InstallationPolicy;
  expressions: ExpressionJudge;
}

/** An object as an API server with the webhook would store it: with the defaults of the schema, of admission, and again of the schema. */
export function filledIn(object: Record<string, unknown>, { definition, schema }: Pick<Judgement, 'definition' | 'schema'>): Record<string, unknown> {
  const once = withSchemaDefaults(schema, object) as Record<string, unknown>;
  return withSchemaDefaults(schema, applyDefaults(definition.kind, once)) as Record<string, unknown>;
}

/** What admission says of an object that is new. What is being deleted is not judged. */
export function judge(object: Record<string, unknown>, judgement: Judgement): Finding[] {
  const { definition, namespace, installation, expressions } = judgement;
  if (isDeleting(object)) return [];
  const refusal = policyRefusal(definition.kind, installation);
  if (refusal !== undefined) return [{ ...forbidden('kind', refusal), rule: tenantModeRule, policy: true }];
  return validate(definition.kind, object, {
    policy: installation.addresses,
    expressions,
    namespace,
    ...(installation.maxExportBytes === undefined ? {} : { maxExportBytes: installation.maxExportBytes }),
  });
}

export const tenantModeRule = 'tenant-mode';

function isDeleting({ metadata }: Record<string, unknown>): boolean {
  return typeof metadata === 'object' && metadata !== null && typeof (metadata as Record<string, unknown>).deletionTimestamp === 'string';
}
