import type { KollectEventSinkSpec } from '../../api/kollect-event-sink.ts';
import { kafkaOptionForms } from '../../api/sinks/kafka.ts';
import { parseKafkaBroker } from '../../api/sinks/kafka-broker.ts';
import { invalid, required } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { allowedHosts, notLocal, noUser, readable } from './endpoint.ts';
import type { ReadEndpoint } from './endpoint.ts';
import { secretReference } from './names.ts';
import { optionForms } from './options.ts';
import { effectless } from './sink.ts';

type Input = RuleInput<KollectEventSinkSpec>;

export const kafkaRules: readonly Rule<KollectEventSinkSpec>[] = [
  { id: 'kafka-broker-form', field: 'spec.kafka.brokers[]', asks: 'Must be <host>:<port>, each broker an item.', check: overBrokers(brokerForm) },
  { id: 'kafka-broker-host', field: 'spec.kafka.brokers[]', asks: 'Must not point to loopback, link-local or metadata addresses, nor to private ones where the installation refuses them.', check: overBrokers((field, broker, { addresses }, report) => allowedHosts(field, broker, readBroker, addresses, report)) },
  { id: 'kafka-broker-credentials', field: 'spec.kafka.brokers[]', asks: 'Must hold no user or password.', check: overBrokers((field, broker, _input, report) => noUser(field, broker, report)) },
  { id: 'kafka-topic', field: 'spec.kafka.topic', asks: 'Must be the name of a topic that Kafka can have.', check: topic },
  { id: 'kafka-options', field: 'spec.options', asks: 'How messages are sent, and what a topic is created with, must be something that Kollect and Kafka can do.', check: ({ spec }, report) => spec.type === 'kafka' && optionForms(spec, kafkaOptionForms, report) },
  { id: 'kafka-secret-ref', field: 'spec.kafka.secretRef', asks: 'Must name a Secret; a login needs one.', check: secretRef },
  effectless('kafka-endpoint', 'spec.endpoint', 'Has no effect on Kafka.', ({ spec }) => (spec.type === 'kafka' && spec.endpoint ? 'the addresses of Kafka are in spec.kafka.brokers' : undefined)),
  effectless('kafka-tls', 'spec.tls', 'Has no effect on Kafka without encryption.', ({ spec }) => (spec.type === 'kafka' && spec.tls !== undefined && spec.kafka?.tls?.enabled === false ? 'spec.kafka.tls.enabled is false; remove one of the two' : undefined)),
];

const readBroker: ReadEndpoint = (text) => [parseKafkaBroker(text)];

function overBrokers(check: (field: string, broker: string, input: Input, report: Report) => void) {
  return (input: Input, report: Report) => {
    for (const [index, broker] of (input.spec.kafka?.brokers ?? []).entries()) if (broker !== undefined) check(`spec.kafka.brokers[${index}]`, broker, input, report);
  };
}

function brokerForm(field: string, broker: string, _input: Input, report: Report): void {
  if (broker.trim() === '') return report(required(field, 'write <host>:<port>, such as kafka.example.com:9092, or remove the item'));
  notLocal(field, broker, report);
  readable(field, broker, readBroker, report);
}

function topic({ spec }: Input, report: Report): void {
  const name = spec.kafka?.topic;
  if (name === undefined) return;
  const field = 'spec.kafka.topic';
  if (name.trim() === '') report(required(field, 'write the name of a topic'));
  else if (!/^[A-Za-z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..') report(invalid(field, name, 'must have at most 249 letters, digits, ".", "_" and "-", such as inventory.changes'));
}

function secretRef({ spec }: Input, report: Report): void {
  secretReference('spec.kafka.secretRef', spec.kafka?.secretRef, report);
  const { sasl, secretRef: own } = spec.kafka ?? {};
  if (sasl !== undefined && own === undefined && spec.secretRef === undefined) report(required('spec.kafka.secretRef', 'spec.kafka.sasl asks for a login; name the Secret that has username and password, or token'));
}
