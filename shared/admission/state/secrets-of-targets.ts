import { allowSecretExtraction } from '../../api/annotations.ts';
import { gvkText, isSecret } from '../../api/gvk.ts';
import { forbidden } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { StateInput, StateRule } from './state-rule.ts';
import { profileOf } from './target-profile.ts';
import type { AnyTargetSpec } from './target-profile.ts';

/**
 * A policy that reads Secrets is judged by the kind of its rule, and the paths that read them by the kind of their profile. Where the two differ, neither
 * judgement holds of the other.
 */
export const secretRules: readonly StateRule<AnyTargetSpec>[] = [
  {
    id: 'rules-of-secrets',
    field: 'spec.resourceRules[].gvk',
    asks: `Must name Secrets only with a profile of Secrets, unless the annotation \`${allowSecretExtraction}\` consents.`,
    check: unless(rulesOfSecrets),
  },
  {
    id: 'policies-of-secrets',
    field: 'spec.resourceRules[].matchPolicy',
    asks: `With a profile of Secrets, must stay outside their data whatever the kind of the rule, unless the annotation \`${allowSecretExtraction}\` consents.`,
    check: unless(policiesOfSecrets),
  },
];

type Check = StateRule<AnyTargetSpec>['check'];

function unless(check: Check): Check {
  return (input, report) => {
    if (input.annotations[allowSecretExtraction] !== 'true') check(input, report);
  };
}

function rulesOfSecrets(target: StateInput<AnyTargetSpec>, report: Report): void {
  const profile = profileOf(target);
  const written = profile?.spec.targetGVK;
  if (profile === undefined || written?.kind === undefined || isSecret(written)) return;
  for (const [index, rule] of (target.spec.resourceRules ?? []).entries()) {
    if (isSecret(rule?.gvk)) report(forbidden(`spec.resourceRules[${index}].gvk`, `the profile ${JSON.stringify(profile.metadata.name)} is written for ${gvkText(written)}: nobody judged whether its paths read the data of Secrets; use a profile with the targetGVK v1 Secret, or set the annotation ${allowSecretExtraction}: "true"`));
  }
}

function policiesOfSecrets(target: StateInput<AnyTargetSpec>, report: Report): void {
  if (!isSecret(profileOf(target)?.spec.targetGVK)) return;
  for (const [index, rule] of (target.spec.resourceRules ?? []).entries()) {
    const policy = rule?.matchPolicy?.trim() ?? '';
    // Of rules for Secrets it is said without a look at the profile.
    if (policy === '' || isSecret(rule?.gvk) || target.expressions.policy(policy).mayReadSecretData !== true) continue;
    report(forbidden(`spec.resourceRules[${index}].matchPolicy`, `the profile collects Secrets, and the policy may read their data; name another field, or set the annotation ${allowSecretExtraction}: "true"`));
  }
}
