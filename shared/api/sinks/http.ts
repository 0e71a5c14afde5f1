import { z } from 'zod';
import { SecretReference } from '../meta.ts';
import { text } from '../text.ts';
import type { SinkTypeFacts } from '../sink-types.ts';

/** Settings of the type http. */
export const HttpSettings = z.object({
  method: z.enum(['POST', 'PUT', 'PATCH']).optional().meta({ description: 'Method of the request; POST when unset.' }),
  headersSecretRef: SecretReference.optional().meta({ description: 'Secret of which each key is sent as a header, with its value.' }),
  auth: z
    .object({
      type: z
        .enum(['basic', 'bearer'])
        .optional()
        .meta({ description: 'basic sends username and password of the Secret, bearer its token; told by the keys of the Secret when unset.' }),
      secretRef: SecretReference.optional().meta({ description: 'Secret with username and password, or token; spec.secretRef when unset.' }),
    })
    .optional()
    .meta({ description: 'How to log in.' }),
  signature: z
    .object({
      algorithm: z.enum(['hmac-sha256', 'hmac-sha512']).optional().meta({ description: 'hmac-sha256 when unset.' }),
      header: text.optional().meta({ description: 'Header that holds the signature as <algorithm>=<hex>; X-Kollect-Signature when unset.' }),
      secretRef: SecretReference.meta({ description: 'Secret with the key to sign with under key.' }),
    })
    .optional()
    .meta({ description: 'Signature over the body, by which the receiver knows who sent it.' }),
});
export type HttpSettings = z.infer<typeof HttpSettings>;

export const http = {
  family: 'snapshot',
  block: 'http',
  settings: HttpSettings,
  about: 'Settings of type http.',
  isBlockRequired: true,
  formats: ['json', 'ndjson'],
  compressions: ['none', 'gzip', 'zstd'],
  options: [],
  hasLayout: false,
  isBuilt: true,
} as const satisfies SinkTypeFacts;
