import { allowSecretExtraction } from '../../api/annotations.ts';
import { gvkText, isSecret } from '../../api/gvk.ts';
import { forbidden } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { KnownProfile } from '../lookups.ts';
import type { StateInput, StateRule } from './state-rule.ts';
import { profileOf } from './target-profile.ts';
import type { AnyTargetSpec } from './target-profile.ts';

/** What a profile reads is judged by the kind that it is written for. Rules for Secrets put it to a use that nobody judged. */
export const secretRules: readonly StateRule<AnyTargetSpec>[] = [
  {
    id: 'rules-of-secrets',
    field: 'spec.resourceRules[].gvk',
    asks: `Must name Secrets only with a profile that stays outside their data, unless the annotation \`${allowSecretExtraction}\` consents.`,
    check: rulesOfSecrets,
  },
];

function rulesOfSecrets(target: StateInput<AnyTargetSpec>, report: Report): void {
  const index = (target.spec.resourceRules ?? []).findIndex((rule) => isSecret(rule?.gvk));
  if (index < 0 || target.annotations[allowSecretExtraction] === 'true') return;
  const profile = profileOf(target);
  const written = profile?.spec.targetGVK;
  // A profile of Secrets was judged when it was stored.
  if (profile === undefined || written === undefined || isSecret(written)) return;
  const reads = readsSecrets(profile, target);
  if (reads !== undefined) report(forbidden(`spec.resourceRules[${index}].gvk`, `the profile ${JSON.stringify(profile.metadata.name)}, which is written for ${gvkText(written)}, ${reads}; use a profile of Secrets, or set the annotation ${allowSecretExtraction}: "true" (the data itself is redacted all the same)`));
}

function readsSecrets({ spec }: KnownProfile, { expressions }: StateInput<AnyTargetSpec>): string | undefined {
  if (spec.export?.mode === 'Resource') return 'exports whole objects';
  const index = (spec.attributes ?? []).findIndex((attribute) => attribute?.path !== undefined && expressions.path(attribute.path).mayReadSecretData === true);
  return index < 0 ? undefined : `may read the data of Secrets with its attributes[${index}].path`;
}
