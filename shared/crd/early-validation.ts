/** A webhook configuration, as far as it is looked at here. */
export interface WebhookConfiguration {
  kind: string;
  metadata: { name: string; [field: string]: unknown };
  webhooks: readonly { name: string; [field: string]: unknown }[];
  [field: string]: unknown;
}

/**
 * The validating webhooks registered once more, among the mutating ones. Schema, CRD rules and policies of the API server come before
 * validating webhooks and after mutating ones, and the first of them that refuses is all that the user hears. Asked early, the webhook answers
 * with everything that is wrong. Its word counts later: when it cannot be reached here, nothing is lost but words.
 */
export function earlyValidation(validating: WebhookConfiguration): WebhookConfiguration {
  return {
    ...validating,
    kind: 'MutatingWebhookConfiguration',
    // Mutating webhooks are called in the order of these names: what others fill in is there when this one judges.
    metadata: { ...validating.metadata, name: 'zz-kollect-early-validation' },
    webhooks: validating.webhooks.map(({ name, ...webhook }) => ({ name: name.replace(/^v/, 'e'), ...webhook, failurePolicy: 'Ignore', reinvocationPolicy: 'Never' })),
  };
}
