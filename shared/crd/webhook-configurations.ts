import { mutate } from '../admission/mutate.ts';
import { GROUP, VERSION } from '../api/group.ts';
import type { KindDefinition } from '../api/kind.ts';
import type { WebhookConfiguration } from './early-validation.ts';

/**
 * The registration of the webhook: every kind is validated, and those are mutated whose empty spec has something to fill in. Addresses and
 * names are those of an installation in `kollect-system`; kustomize changes them for others.
 */
export function webhookConfigurations(kinds: readonly KindDefinition[]): { mutating: WebhookConfiguration; validating: WebhookConfiguration } {
  const mutated = kinds.filter(({ kind }) => mutate(kind, { spec: {} }).length > 0);
  return {
    // A patch applied twice changes nothing, so that another webhook's change may call this one again.
    mutating: configuration('Mutating', mutated.map((definition) => ({ ...webhook('mutate', definition), reinvocationPolicy: 'IfNeeded' }))),
    validating: configuration('Validating', kinds.map((definition) => webhook('validate', definition))),
  };
}

function configuration(form: 'Mutating' | 'Validating', webhooks: WebhookConfiguration['webhooks']): WebhookConfiguration {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${form}WebhookConfiguration`,
    metadata: {
      name: `kollect-${form.toLowerCase()}-webhook-configuration`,
      labels: { 'app.kubernetes.io/name': 'kollect', 'app.kubernetes.io/instance': 'kollect', 'app.kubernetes.io/component': 'webhook' },
      // The authority that has signed this certificate becomes the caBundle of each webhook.
      annotations: { 'cert-manager.io/inject-ca-from': 'kollect-system/kollect-serving-cert' },
    },
    webhooks,
  };
}

function webhook(verb: 'mutate' | 'validate', { singular, plural }: KindDefinition) {
  return {
    name: `${verb.charAt(0)}${singular}.kb.io`,
    clientConfig: { service: { name: 'kollect-webhook-service', namespace: 'kollect-system', path: `/${verb}-${GROUP.replaceAll('.', '-')}-${VERSION}-${singular}` } },
    // Neither the status subresource nor deletions.
    rules: [{ apiGroups: [GROUP], apiVersions: [VERSION], operations: ['CREATE', 'UPDATE'], resources: [plural] }],
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Fail',
    timeoutSeconds: 5,
    // What is being deleted has to lose its finalizer, even when the webhook is away or the object is no longer valid.
    matchConditions: [{ name: 'not-being-deleted', expression: "request.operation != 'UPDATE' || !has(object.metadata.deletionTimestamp)" }],
  };
}
