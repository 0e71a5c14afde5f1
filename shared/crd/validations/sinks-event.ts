import type { CelCheck } from '../crd-validation.ts';
import { isBlank, notBlank, refusedHostMessage, refusedHosts, secretReference } from './common.ts';

const holdsUser = 'holds a user, password or token before the "@"; put it into a Secret and name that in secretRef';

/** Settings of streams. */
export const eventBackends: Readonly<Record<string, readonly CelCheck[]>> = {
  'kafka-broker-form': [notBlank('spec.kafka.brokers[]', 'write <host>:<port>, such as kafka.example.com:9092, or remove the item')],
  'kafka-broker-credentials': [{ at: 'spec.kafka.brokers[]', expression: `!self.contains('@')`, message: holdsUser, reason: 'FieldValueForbidden' }],
  'kafka-broker-host': [{ at: 'spec.kafka.brokers[]', expression: `!self.matches(r'^(?i)\\s*([a-z]+://)?${refusedHosts}(:[0-9]+)?\\s*$')`, message: refusedHostMessage, reason: 'FieldValueForbidden' }],
  'kafka-topic': [
    notBlank('spec.kafka.topic', 'write the name of a topic'),
    {
      at: 'spec.kafka.topic',
      expression: `${isBlank} || (self.matches(r'^[A-Za-z0-9._-]{1,249}$') && !(self in ['.', '..']))`,
      message: 'must have at most 249 letters, digits, ".", "_" and "-", such as inventory.changes',
    },
  ],
  'kafka-secret-ref': [
    ...secretReference('spec.kafka.secretRef'),
    {
      at: 'spec',
      expression: '!has(self.kafka) || !has(self.kafka.sasl) || has(self.kafka.secretRef) || has(self.secretRef)',
      message: 'spec.kafka.sasl asks for a login; name the Secret that has username and password, or token',
      fieldPath: '.kafka.secretRef',
      reason: 'FieldValueRequired',
    },
  ],
  'nats-servers': [
    {
      at: 'spec',
      expression: `self.type != 'nats' || !has(self.nats) || (has(self.nats.url) && self.nats.url.matches(r'[^\\s]')) || (has(self.endpoint) && self.endpoint.matches(r'[^\\s]'))`,
      message: 'write the servers to connect to, such as nats://nats.example.com:4222',
      fieldPath: '.nats.url',
      reason: 'FieldValueRequired',
    },
  ],
  'nats-server-credentials': [{ at: 'spec.nats.url', expression: `!self.contains('@')`, message: holdsUser, reason: 'FieldValueForbidden' }],
  'nats-server-host': [{ at: 'spec.nats.url', expression: `!self.matches(r'(?i)(^|[,\\s]|//)${refusedHosts}([:/?#,\\s]|$)')`, message: refusedHostMessage, reason: 'FieldValueForbidden' }],
  'nats-subject': [
    notBlank('spec.nats.subject', 'write the subject to publish to, such as inventory.events'),
    { at: 'spec.nats.subject', expression: String.raw`${isBlank} || !self.matches(r'[\s\p{Cc}\p{Cf}]')`, message: 'must not contain blanks or control characters; write for example inventory.events' },
    { at: 'spec.nats.subject', expression: `!self.matches(r'[*>]')`, message: 'must not contain the wildcards "*" and ">": only one subject can be published to' },
    { at: 'spec.nats.subject', expression: `!self.matches(r'^[.]|[.]$|[.][.]')`, message: 'must have no "." at its ends, and none twice in a row' },
    { at: 'spec.nats.subject', expression: `!self.matches(r'^([$]|_INBOX([.]|$))')`, message: 'must not begin with "$" or "_INBOX", which belong to NATS itself' },
    { at: 'spec.nats.subject', expression: 'size(self) <= 255', message: 'must have at most 255 characters' },
  ],
  'nats-stream': [
    {
      at: 'spec.nats.stream',
      expression: String.raw`${isBlank} || (size(self) <= 255 && !self.matches(r'[\s*>/\\\p{Cc}\p{Cf}]'))`,
      message: String.raw`must have at most 255 characters, without blanks, "*", ">", "/" and "\", such as kollect_events`,
    },
  ],
  'nats-secret-ref': secretReference('spec.nats.secretRef'),
};
