import { sortFindings } from '../../shared/admission/finding.ts';
import type { Finding } from '../../shared/admission/finding.ts';
import { applyDefaults } from '../../shared/admission/mutate.ts';
import { policyRefusal } from '../../shared/admission/policy.ts';
import type { InstallationPolicy } from '../../shared/admission/policy.ts';
import { objectLookups } from '../../shared/admission/state/object-lookups.ts';
import { validateState } from '../../shared/admission/state/validate-state.ts';
import { validate } from '../../shared/admission/validate.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { kinds } from '../../shared/api/kinds.ts';
import { withSchemaDefaults } from '../../shared/crd/schema-defaults.ts';
import { objectSchema } from '../../shared/lint/object-schema.ts';
import { storedObject, vectorObject } from './vectors/vector.ts';
import type { Vector } from './vectors/vector.ts';

export interface Judgement {
  findings: readonly Finding[];
  /** Why the installation takes no object of the kind, whatever it says. */
  refusal?: string | undefined;
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
  const policy = policyOf(vector);
  const lookups = objectLookups(vector.cluster ?? []);
  const stored = withDefaultsOfSchema(applyDefaults(kind, withDefaultsOfSchema(vectorObject(vector)), lookups));
  if (stored.metadata.deletionTimestamp !== undefined) return { findings: [], stored };
  const refusal = policyRefusal(kind, policy);
  if (refusal !== undefined) return { findings: [], refusal, stored };

  const old = storedObject(vector);
  const update = old === undefined ? {} : { old: applyDefaults(kind, withDefaultsOfSchema(old), lookups) };
  const { maxExportBytes } = policy;
  const findings = validate(kind, stored, { policy: policy.addresses, ...(maxExportBytes === undefined ? {} : { maxExportBytes }), ...update });
  if (findings.some(({ severity }) => severity === 'error')) return { findings, stored };
  return { findings: sortFindings([...findings, ...validateState(kind, stored, { lookups, ...update })]), stored };
}

/** What the API server fills in by the CRD: before and after it asks webhooks, and when it reads what is stored. */
export function withDefaultsOfSchema(object: KubeObject): KubeObject {
  const schema = schemas.get(object.kind);
  return schema === undefined ? object : (withSchemaDefaults(schema, object) as KubeObject);
}

const schemas = new Map(kinds.map((definition) => [definition.kind, objectSchema(definition)]));
