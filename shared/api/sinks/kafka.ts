import { z } from 'zod';
import { SecretReference } from '../meta.ts';
import { bounds, nonEmpty } from '../text.ts';
import type { SinkTypeFacts } from '../sink-types.ts';
import { countTo, oneOf, type OptionForm } from './option-form.ts';

export const kafkaSaslMechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const;

/** How messages can be compressed. Brokers know more. */
export const kafkaCompressions = ['none', 'gzip', 'zstd'] as const;
/** What a topic that is created does with old messages. */
export const kafkaCleanupPolicies = ['delete', 'compact'] as const;

/** `partitions`, `replicas` and `cleanupPolicy` are of a topic that is created. */
export const kafkaOptions = ['acks', 'cleanupPolicy', 'compression', 'partitions', 'replicas'] as const;

export const kafkaOptionForms: Readonly<Record<(typeof kafkaOptions)[number], OptionForm>> = {
  acks: oneOf(['all', '1'], { why: 'a message that nobody confirms may be lost' }),
  cleanupPolicy: oneOf(kafkaCleanupPolicies),
  compression: oneOf(kafkaCompressions),
  partitions: countTo(10_000),
  replicas: countTo(15),
};

/** Settings of the type kafka. */
export const KafkaSettings = z.object({
  brokers: z
    .array(nonEmpty)
    .min(1)
    .max(bounds.shortList)
    .meta({ description: 'Addresses to begin with, as host:port.', 'x-kubernetes-list-type': 'atomic' }),
  topic: nonEmpty.meta({ description: 'Topic that is written to.' }),
  secretRef: SecretReference.optional().meta({ description: 'Secret with username and password (or token in its place); spec.secretRef when unset.' }),
  sasl: z
    .object({
      mechanism: z
        .enum(kafkaSaslMechanisms)
        .meta({ description: 'PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 use username and password of the Secret, OAUTHBEARER its token.' }),
    })
    .optional()
    .meta({ description: 'How to log in; SCRAM-SHA-256 when unset and the Secret has a username, without login when there is no Secret.' }),
  tls: z
    .object({ enabled: z.boolean().optional().meta({ description: 'Connect with TLS; true when unset and spec.tls is set.' }) })
    .optional()
    .meta({ description: 'Encryption; whom to trust is said in spec.tls.' }),
});
export type KafkaSettings = z.infer<typeof KafkaSettings>;

export const kafka = {
  family: 'event',
  block: 'kafka',
  settings: KafkaSettings,
  about: 'Settings of type kafka.',
  isBlockRequired: true,
  formats: ['json'],
  compressions: ['none'],
  options: kafkaOptions,
  hasLayout: false,
  isBuilt: true,
} as const satisfies SinkTypeFacts;
