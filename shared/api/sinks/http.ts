import { z } from 'zod';
import { SecretReference } from '../meta.ts';

export const HttpSettings = z.object({
  method: z.enum(['POST', 'PUT', 'PATCH']).optional().meta({ description: 'Request method; POST when unset.' }),
  headersSecretRef: SecretReference.optional().meta({ description: 'Secret whose keys and values are sent as headers.' }),
  auth: z
    .object({
      type: z.enum(['none', 'basic', 'bearer']).meta({ description: 'basic reads username and password, bearer reads token.' }),
      secretRef: SecretReference.optional().meta({ description: 'Secret with the credentials; spec.secretRef when unset.' }),
    })
    .optional()
    .meta({ description: 'Login.' }),
  signature: z
    .object({
      algorithm: z.enum(['hmac-sha256', 'hmac-sha512']).optional().meta({ description: 'hmac-sha256 when unset.' }),
      header: z.string().optional().meta({ description: 'Header of the signature; X-Kollect-Signature when unset.' }),
      secretRef: SecretReference.meta({ description: 'Secret with the signing key under key.' }),
    })
    .optional()
    .meta({ description: 'Signature over the body.' }),
});
