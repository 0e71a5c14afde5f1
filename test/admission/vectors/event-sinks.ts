import { each, errors, settings, sinkVector, warnings } from './sink-objects.ts';
import type { Vector } from './vector.ts';

/** Kafka and NATS, beside where they point to. */
export const eventSinkVectors: readonly Vector[] = [
  sinkVector('kafka', 'all of its settings', { ...settings('kafka', { brokers: ['a.example:9092', '[2001:db9::1]:9093', 'kafka://b.example:9092', 'c.example'], secretRef: { name: 'kafka' }, sasl: { mechanism: 'SCRAM-SHA-512' }, tls: { enabled: true } }), events: { mode: 'perItem' } }),
  ...each('kafka', 'the topic', ['inventory.changes', 'a', 'A_b-1.2', 'x'.repeat(249)], (topic) => settings('kafka', { topic })),
  ...each('kafka', 'the topic', ['inventory changes', 'a/b', 'ä', '.', '..', 'x'.repeat(250), 'a:b', 'a*'], (topic) => settings('kafka', { topic }), errors('spec.kafka.topic')),
  sinkVector('kafka', 'no topic', settings('kafka', { topic: '' }), { errors: ['spec.kafka.topic'], says: ['Required value'] }),
  sinkVector('kafka', 'a blank topic', settings('kafka', { topic: ' ' }), { errors: ['spec.kafka.topic'], says: ['Required value'] }),
  sinkVector('kafka', 'no brokers', settings('kafka', { brokers: [] }), errors('spec.kafka.brokers')),
  sinkVector('kafka', 'blank brokers', settings('kafka', { brokers: ['', 'a.example:9092', ' '] }), { errors: ['spec.kafka.brokers[0]', 'spec.kafka.brokers[2]'], says: ['Required value'] }),
  sinkVector('kafka', 'a mechanism that does not exist', settings('kafka', { sasl: { mechanism: 'SCRAM-SHA256' }, secretRef: { name: 'k' } }), { errors: ['spec.kafka.sasl.mechanism'], says: ['did you mean "SCRAM-SHA-256"?'] }),
  sinkVector('kafka', 'a login without a Secret', settings('kafka', { sasl: { mechanism: 'PLAIN' } }), { errors: ['spec.kafka.secretRef'], says: ['Required value'] }),
  sinkVector('kafka', 'a login with the Secret of the sink', { ...settings('kafka', { sasl: { mechanism: 'PLAIN' } }), secretRef: { name: 'kafka' } }),
  sinkVector('kafka', 'a Secret with a blank name', settings('kafka', { secretRef: { name: ' ' } }), errors('spec.kafka.secretRef.name')),
  sinkVector('kafka', 'an endpoint', { endpoint: 'kafka.example.com:9092' }, { warnings: ['spec.endpoint'], says: ['spec.kafka.brokers'] }),
  sinkVector('kafka', 'trust without encryption', { ...settings('kafka', { tls: { enabled: false } }), tls: { caSecretRef: { name: 'ca' } } }, warnings('spec.tls')),
  sinkVector('kafka', 'messages of a kind that does not exist', { events: { mode: 'per-item' } }, { errors: ['spec.events.mode'], says: ['did you mean "perItem"?'] }),

  sinkVector('nats', 'several servers', settings('nats', { url: 'tls://a.example:4222, nats://b.example,c.example:4223', stream: 'INVENTORY', secretRef: { name: 'nats' } })),
  sinkVector('nats', 'the servers in the endpoint', { ...settings('nats', { url: undefined }), endpoint: 'nats://nats.example.com:4222' }),
  sinkVector('nats', 'a blank url beside the endpoint', { ...settings('nats', { url: ' ' }), endpoint: 'nats://nats.example.com:4222' }),
  sinkVector('nats', 'servers in both places', { endpoint: 'nats://nats.example.com:4222' }, { warnings: ['spec.endpoint'], says: ['spec.nats.url names the servers'] }),
  sinkVector('nats', 'no servers', settings('nats', { url: undefined }), { errors: ['spec.nats.url'], says: ['Required value', 'nats://nats.example.com:4222'] }),
  ...each('nats', 'the subject', ['inventory.events', 'a', 'A_b-1.c', 'inventory.ä'], (subject) => settings('nats', { subject })),
  ...each('nats', 'the subject', ['inventory events', 'a..b', '.a', 'a.', 'a.*', 'a.>', '$JS.API.x', '_INBOX.x', 'a\tb', 'x'.repeat(256)], (subject) => settings('nats', { subject }), errors('spec.nats.subject')),
  sinkVector('nats', 'no subject', settings('nats', { subject: '' }), { errors: ['spec.nats.subject'], says: ['Required value'] }),
  sinkVector('nats', 'a blank subject', settings('nats', { subject: ' ' }), { errors: ['spec.nats.subject'], says: ['Required value'] }),
  ...each('nats', 'the stream', ['kollect_events', 'A-1', ''], (stream) => settings('nats', { stream })),
  ...each('nats', 'the stream', ['a b', 'a*', 'a>', 'a/b', String.raw`a\b`, 'x'.repeat(256)], (stream) => settings('nats', { stream }), errors('spec.nats.stream')),
  ...each('nats', 'the age of messages', ['72h', '0s', '100ms'], (maxAge) => ({ options: { maxAge, storage: 'memory', replicas: '3' } })),
  ...each('nats', 'the age of messages', ['3d', '99ms', '-1h', ''], (maxAge) => ({ options: { maxAge } }), errors('spec.options[maxAge]')),
  sinkVector('nats', 'a storage that does not exist', { options: { storage: 'disk' } }, { errors: ['spec.options[storage]'], says: ['must be file or memory'] }),
  ...each('nats', 'the replicas', ['0', '6', 'three'], (replicas) => ({ options: { replicas } }), errors('spec.options[replicas]')),
  sinkVector('nats', 'a stream with a dot', settings('nats', { stream: 'kollect.events' }), { warnings: ['spec.nats.stream'], says: ['"kollect_events"'] }),
  sinkVector('nats', 'a Secret of a bad namespace', settings('nats', { secretRef: { name: 'n', namespace: 'a/b' } }), errors('spec.nats.secretRef.namespace')),
];
