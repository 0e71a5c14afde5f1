import type { CrdValidation } from './crd-validation.ts';
import { policies } from './policies.ts';
import { inventoryValidations } from './validations/inventories.ts';
import { otherValidations } from './validations/others.ts';
import { profileValidations } from './validations/profile.ts';
import { sinkValidations } from './validations/sinks.ts';
import { targetValidations } from './validations/targets.ts';

/** Every CEL rule of the CRDs. */
export const crdValidations: readonly CrdValidation[] = [...inventoryValidations, ...otherValidations, ...profileValidations, ...sinkValidations, ...targetValidations];

/** Rules of which CEL can hold a part only: the rest needs a parser, a table or more time than the API server gives. */
export const heldInPart: ReadonlySet<string> = new Set([
  'attribute-path',
  'attribute-path-of-secrets',
  'endpoint-credentials',
  'endpoint-host',
  'http-signature-header',
  'kafka-broker-form',
  'kafka-broker-host',
  'label-selector',
  'match-policy',
  'namespace-exclude-selector',
  'namespace-selector',
  'nats-server-credentials',
  'nats-server-host',
  'option-keys',
  'option-values',
  'rule-labels',
  'rule-namespace-selector',
  'sink-ref-bytes',
  'target-refs',
  'target-selector',
]);

/**
 * Where the API server itself holds a rule, or the part of it that CEL can say, while the webhook is away.
 *
 * @example enforcedByApiServer('KollectInventory', 'sink-refs') // 'policy'
 */
export function enforcedByApiServer(kind: string, rule: string): 'CRD' | 'policy' | undefined {
  if (rule === 'schema' || crdValidations.some((validation) => validation.kind === kind && validation.rule === rule)) return 'CRD';
  return policies.some(({ kinds, findings }) => kinds.includes(kind) && findings.some((finding) => finding.rule === rule)) ? 'policy' : undefined;
}
