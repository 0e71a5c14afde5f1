import { secretConsent } from './policies/secret-consent.ts';
import { sinkOptions } from './policies/sink-options.ts';
import { clusterSinkReferences, sinkReferences } from './policies/sink-references.ts';
import { tenantMode } from './policies/tenant-mode.ts';
import type { Policy } from './policy.ts';

/** Every ValidatingAdmissionPolicy. */
export const policies: readonly Policy[] = [clusterSinkReferences, secretConsent, sinkOptions, sinkReferences, tenantMode];
