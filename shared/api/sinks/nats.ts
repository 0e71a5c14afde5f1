import { z } from 'zod';
import { SecretReference } from '../meta.ts';
import { nonEmpty, text } from '../text.ts';
import type { SinkTypeFacts } from '../sink-types.ts';

/** Settings of the type nats. */
export const NatsSettings = z.object({
  url: text.optional().meta({ description: 'Servers, separated by commas, such as nats://host:4222, or tls:// for encryption; spec.endpoint when unset.' }),
  subject: nonEmpty.meta({ description: 'Subject that is published to.' }),
  stream: text.optional().meta({ description: 'JetStream stream of the subject; kollect_events when unset.' }),
  secretRef: SecretReference.optional().meta({ description: 'Secret with token, username and password, creds (a credentials file) or nkey (a seed); spec.secretRef when unset.' }),
});
export type NatsSettings = z.infer<typeof NatsSettings>;

/** Of a stream that is created: `maxAge` is a duration, `storage` is file or memory. */
export const natsOptions = ['maxAge', 'replicas', 'storage'] as const;

export const nats = {
  family: 'event',
  block: 'nats',
  settings: NatsSettings,
  about: 'Settings of type nats.',
  isBlockRequired: true,
  formats: ['json'],
  compressions: ['none'],
  options: natsOptions,
  hasLayout: false,
  isBuilt: true,
} as const satisfies SinkTypeFacts;
