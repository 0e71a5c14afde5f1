import { allowFullResourceExport, allowSecretExtraction } from '../../api/annotations.ts';
import type { KollectProfileSpec } from '../../api/kollect-profile.ts';
import type { Rule } from '../rule.ts';
import { annotationRule } from './annotations.ts';
import { attributeRules } from './attributes.ts';
import { groupVersionKind, likelyGroupVersionKind } from './group-version-kind.ts';
import { metricRules } from './metrics.ts';
import { profileExportRules } from './profile-export.ts';

export const profileRules: readonly Rule<KollectProfileSpec>[] = [
  annotationRule({ [allowSecretExtraction]: 'true', [allowFullResourceExport]: 'true' }),
  { id: 'target-gvk', field: 'spec.targetGVK', asks: 'Must name a version and a kind that a cluster can serve.', check: ({ spec }, report) => groupVersionKind('spec.targetGVK', spec.targetGVK, report) },
  { id: 'target-gvk-likely', field: 'spec.targetGVK', asks: 'Should name kinds of Kubernetes as Kubernetes does, in their group.', advises: true, check: ({ spec }, report) => likelyGroupVersionKind('spec.targetGVK', spec.targetGVK, report) },
  ...attributeRules,
  ...profileExportRules,
  ...metricRules,
];
