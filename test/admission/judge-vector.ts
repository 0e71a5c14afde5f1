import type { Finding } from '../../shared/admission/finding.ts';
import { applyDefaults } from '../../shared/admission/mutate.ts';
import { policyRefusal } from '../../shared/admission/policy.ts';
import type { InstallationPolicy } from '../../shared/admission/policy.ts';
import { validate } from '../../shared/admission/validate.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { kindByName } from '../../shared/api/kinds.ts';
import { storedObject, vectorObject } from './vectors/vector.ts';
import type { Vector } from './vectors/vector.ts';

export interface Judgement {
  findings: readonly Finding[];
  /** Why the installation takes no object of the kind, whatever it says. */
  refusal?: string | undefined;
  /** See `completed`. */
  stored?: unknown;
}

/** The policy of the installation that a vector is for. */
export function policyOf({ installation = {} }: Pick<Vector, 'installation'>): InstallationPolicy {
  const { allowPrivateSinks = true, tenantMode = false, maxExportBytes } = installation;
  return { addresses: { allowPrivate: allowPrivateSinks, allowLoopback: false }, tenantMode, ...(maxExportBytes === undefined ? {} : { maxExportBytes }) };
}

/** What the rules say about the object of a vector, without a server: filled in first, then judged, as the webhook does it. */
export function judgeVector(vector: Vector): Judgement {
  const { kind } = vector;
  const policy = policyOf(vector);
  const object = applyDefaults(kind, vectorObject(vector));
  const old = storedObject(vector);
  if (object.metadata.deletionTimestamp !== undefined) return { findings: [] };
  const refusal = policyRefusal(kind, policy);
  if (refusal !== undefined) return { findings: [], refusal };
  const { maxExportBytes } = policy;
  const findings = validate(kind, object, { policy: policy.addresses, ...(maxExportBytes === undefined ? {} : { maxExportBytes }), ...(old === undefined ? {} : { old }) });
  return { findings, stored: completed(kind, object) };
}

/** The spec with the defaults of its schema, as the API server stores it; undefined when it does not fit. */
export function completed(kind: string, { spec }: KubeObject): unknown {
  return kindByName(kind)?.spec.safeParse(spec).data;
}
