import { rememberingJudge } from '../../shared/admission/expressions.ts';
import type { Finding } from '../../shared/admission/finding.ts';
import { judgeObject } from '../../shared/admission/judge-object.ts';
import { applyDefaults } from '../../shared/admission/mutate.ts';
import type { InstallationPolicy } from '../../shared/admission/policy.ts';
import { objectLookups } from '../../shared/admission/state/object-lookups.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { kinds } from '../../shared/api/kinds.ts';
import { withSchemaDefaults } from '../../shared/crd/schema-defaults.ts';
import { objectSchema } from '../../shared/lint/object-schema.ts';
import { storedObject, vectorObject } from './vectors/vector.ts';
import type { Vector } from './vectors/vector.ts';

export interface Judgement {
  findings: readonly Finding[];
  /** The object as it would be stored. */
  stored: KubeObject;
}

/** The policy of the installation that a vector is for. */
export function policyOf({ installation = {} }: Pick<Vector, 'installation'>): InstallationPolicy {
  const { allowPrivateSinks = true, tenantMode = false, maxExportBytes } = installation;
  return { addresses: { allowPrivate: allowPrivateSinks, allowLoopback: false }, tenantMode, ...(maxExportBytes === undefined ? {} : { maxExportBytes }) };
}

/** What the rules say about the object of a vector, without a server, in the order of the API server and the webhook. */
export function judgeVector(vector: Vector): Judgement {
  const { kind } = vector;
  const lookups = objectLookups(vector.cluster ?? []);
  const stored = withDefaultsOfSchema(applyDefaults(kind, withDefaultsOfSchema(vectorObject(vector)), { lookups }));
  const old = storedObject(vector);
  const subject = { kind, object: stored, namespace: stored.metadata.namespace ?? '', ...(old === undefined ? {} : { old: withDefaultsOfSchema(old) }) };
  return { findings: judgeObject(subject, { installation: policyOf(vector), expressions: rememberingJudge(), lookups }), stored };
}

/** What the API server fills in by the CRD: before and after it asks webhooks, and when it reads what is stored. */
export function withDefaultsOfSchema(object: KubeObject): KubeObject {
  const schema = schemas.get(object.kind);
  return schema === undefined ? object : (withSchemaDefaults(schema, object) as KubeObject);
}

const schemas = new Map(kinds.map((definition) => [definition.kind, objectSchema(definition)]));
