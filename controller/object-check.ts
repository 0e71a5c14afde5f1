import type { KubeObject } from '../shared/api/kube-object.ts';
import { renderFinding } from '../shared/admission/finding.ts';
import { applyDefaults } from '../shared/admission/mutate.ts';
import { validate } from '../shared/admission/validate.ts';
import { defaultAddressPolicy } from '../shared/net/address-policy.ts';
import type { AddressPolicy } from '../shared/net/address-policy.ts';

/** An object that keeps every rule, or the reason why it does not. */
export type CheckedObject<T> = { object: T; message?: undefined } | { object?: undefined; message: string };

/**
 * Applies the defaults and rules of admission to an object read from the API server. The controller does not trust that a webhook
 * saw it: the same code decides here again.
 *
 * @param policy what sinks may point to; that of an installation without flags when unset
 */
export function checkObject<T>(kind: string, raw: KubeObject, policy: AddressPolicy = defaultAddressPolicy): CheckedObject<T> {
  const object = applyDefaults(kind, raw);
  const errors = validate(kind, object, { policy }).filter((finding) => finding.severity === 'error');
  if (errors.length > 0) return { message: errors.map(renderFinding).join('; ') };
  return { object: object as T };
}
