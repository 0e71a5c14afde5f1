import type { ExpressionJudge } from '../admission/expressions.ts';
import type { Finding } from '../admission/finding.ts';
import { judgeObject } from '../admission/judge-object.ts';
import type { Lookups } from '../admission/lookups.ts';
import { applyDefaults } from '../admission/mutate.ts';
import type { InstallationPolicy } from '../admission/policy.ts';
import { overlaid } from '../admission/state/object-lookups.ts';
import type { KubeObject } from '../api/kube-object.ts';
import { withSchemaDefaults } from '../crd/schema-defaults.ts';
import type { StructuralSchema } from '../crd/structural-schema.ts';

/** An object as an API server with the webhook would store it: with the defaults of its schema, of admission, and again of the schema. */
export function filledIn(object: KubeObject, schema: StructuralSchema, lookups: Lookups): KubeObject {
  const once = withSchemaDefaults(schema, object) as KubeObject;
  return withSchemaDefaults(schema, applyDefaults(object.kind, once, { lookups })) as KubeObject;
}

export interface Circumstances {
  installation: InstallationPolicy;
  lookups: Lookups;
  expressions: ExpressionJudge;
}

/** What admission says of an object that is filled in, were it created. What is being deleted is not judged. */
export function judge(object: KubeObject, { installation, lookups, expressions }: Circumstances): Finding[] {
  const subject = { kind: object.kind, object, namespace: object.metadata.namespace ?? '' };
  return judgeObject(subject, { installation, expressions, lookups: beforeCreation(object, lookups) });
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
