import type { ExpressionJudge } from '../admission/expressions.ts';
import { forbidden } from '../admission/finding.ts';
import type { Finding } from '../admission/finding.ts';
import type { Lookups } from '../admission/lookups.ts';
import { applyDefaults } from '../admission/mutate.ts';
import { policyRefusal } from '../admission/policy.ts';
import type { InstallationPolicy } from '../admission/policy.ts';
import { overlaid } from '../admission/state/object-lookups.ts';
import { validateState } from '../admission/state/validate-state.ts';
import { validate } from '../admission/validate.ts';
import type { KubeObject } from '../api/kube-object.ts';
import { withSchemaDefaults } from '../crd/schema-defaults.ts';
import type { StructuralSchema } from '../crd/structural-schema.ts';

/** An object as an API server with the webhook would store it: with the defaults of its schema, of admission, and again of the schema. */
export function filledIn(object: KubeObject, schema: StructuralSchema, lookups: Lookups): KubeObject {
  const once = withSchemaDefaults(schema, object) as KubeObject;
  return withSchemaDefaults(schema, applyDefaults(object.kind, once, lookups)) as KubeObject;
}

export interface Circumstances {
  installation: InstallationPolicy;
  lookups: Lookups;
  expressions: ExpressionJudge;
}

/** The rule by which an installation takes no object of a kind. */
export const tenantModeRule = 'tenant-mode';

/** What admission says of an object that is filled in, were it created. What is being deleted is not judged. */
export function judge(object: KubeObject, { installation, lookups, expressions }: Circumstances): Finding[] {
  const { kind, metadata } = object;
  if (typeof metadata.deletionTimestamp === 'string') return [];
  const refusal = policyRefusal(kind, installation);
  if (refusal !== undefined) return [{ ...forbidden('kind', refusal), rule: tenantModeRule, policy: true }];
  const namespace = metadata.namespace ?? '';
  const { addresses, maxExportBytes } = installation;
  const findings = validate(kind, object, { policy: addresses, expressions, namespace, ...(maxExportBytes === undefined ? {} : { maxExportBytes }) });
  // Other objects say nothing to one that will be written anew.
  return findings.some(({ severity }) => severity === 'error') ? findings : [...findings, ...validateState(kind, object, { lookups: beforeCreation(object, lookups), namespace })];
}

/** Scopes are told which objects they stop, and the one that is created stops none before. Other kinds are no part of what is said of them. */
function beforeCreation({ kind, metadata: { name, namespace } }: KubeObject, lookups: Lookups): Lookups {
  const isAnother = (scope: { metadata: { name: string } }): boolean => scope.metadata.name !== name;
  switch (kind) {
    case 'KollectScope':
      return overlaid(lookups, { scopes: (where) => (where === namespace ? lookups.scopes(where).filter(isAnother) : lookups.scopes(where)) });
    case 'KollectClusterScope':
      return overlaid(lookups, { clusterScopes: () => lookups.clusterScopes().filter(isAnother) });
    default:
      return lookups;
  }
}
