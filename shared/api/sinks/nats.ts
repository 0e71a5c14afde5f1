import { z } from 'zod';
import { SecretReference } from '../meta.ts';

export const NatsSettings = z.object({
  url: z.string().optional().meta({ description: 'Servers, such as nats://host:4222; spec.endpoint when unset.' }),
  subject: z.string().meta({ description: 'Subject that is published to.' }),
  stream: z.string().optional().meta({ description: 'JetStream stream; kollect_events when unset.' }),
  secretRef: SecretReference.optional().meta({ description: 'Secret with token, username and password, creds or nkey; spec.secretRef when unset.' }),
});

export const natsOptions = ['maxAge', 'replicas', 'storage'] as const;
