import { z } from 'zod';
import { SecretReference } from '../meta.ts';

export const KafkaSettings = z.object({
  brokers: z.array(z.string()).meta({ description: 'Addresses as host:port.', 'x-kubernetes-list-type': 'atomic' }),
  topic: z.string().meta({ description: 'Topic that is written to.' }),
  secretRef: SecretReference.optional().meta({ description: 'Secret with username, password or token; spec.secretRef when unset.' }),
  sasl: z
    .object({ mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']).meta({ description: 'SASL mechanism.' }) })
    .optional()
    .meta({ description: 'Login; SCRAM-SHA-256 when the Secret has a username.' }),
  tls: z.object({ enabled: z.boolean().optional().meta({ description: 'Connect with TLS.' }) }).optional().meta({ description: 'Encryption; trust is in spec.tls.' }),
});

export const kafkaOptions = ['compression', 'acks', 'linger_ms'] as const;
