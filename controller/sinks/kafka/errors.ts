import { KollectError, type ErrorCode } from '../../../shared/errors.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';
import type { KafkaSinkSettings } from './settings.ts';

type Names = Pick<KafkaSinkSettings, 'title' | 'topic' | 'login'>;

/** Of a broker that says what nobody understands, with TLS among it. */
export const strangeAnswer = 'what answers there is not understood: see whether it is Kafka that listens there, or asks for TLS, and correct spec.kafka.brokers or spec.kafka.tls';

/** What the client throws, as far as it is looked at. */
interface ClientError extends Error {
  /** Name of the protocol's error, such as `UNKNOWN_TOPIC_OR_PARTITION`. */
  type?: string;
  code?: unknown;
}

/** The first error of all that were wrapped around each other. */
function rootOf(error: unknown): ClientError {
  let root = error instanceof Error ? error : new Error(String(error));
  for (let depth = 0; depth < 10; depth++) {
    const inner: unknown = (root as { errors?: unknown[] }).errors?.[0] ?? root.cause;
    if (!(inner instanceof Error)) break;
    root = inner;
  }
  return root;
}

/** Name of the protocol's error; undefined when it is none. */
export function protocolError(error: unknown): string | undefined {
  return rootOf(error instanceof KollectError ? error.cause : error).type;
}

/** The topic is not there, or was made anew since. */
export function isTopicGone(error: unknown): boolean {
  return protocolError(error) === 'UNKNOWN_TOPIC_OR_PARTITION';
}

/** The error of the catalogue for anything that the client or a broker threw. */
export function kafkaError(error: unknown, names: Names): KollectError {
  if (error instanceof KollectError) return error;
  const root = rootOf(error);
  if (root instanceof KollectError) return root;
  const { title } = names;
  const told = (code: ErrorCode, text: string): KollectError => new KollectError(code, `${text} (${title})`, { cause: error });
  const meant = root.type === undefined ? undefined : meanings[root.type];
  if (meant) return told(meant[0], `${meant[1](names)}, ${root.type}`);
  if (root.name === 'KafkaJSSASLAuthenticationError') return told(...loginError(root.message, names));
  if (root.type !== undefined) return told('KOL_SINK_UNAVAILABLE', `a broker did not do what it was asked: ${root.message}, ${root.type}`);
  const isClients = root.name.startsWith('KafkaJS');
  if (!isClients && (root instanceof TypeError || root instanceof RangeError || root instanceof ReferenceError) && root.code === undefined) return new KollectError('KOL_INTERNAL', `${root.name}: ${root.message}`, { cause: error });
  if (root.code === 'ERR_SSL_WRONG_VERSION_NUMBER' || root.code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') return told('KOL_SINK_CONFIG', `the broker offers no TLS on this port: remove spec.tls and spec.kafka.tls, or write the port of its TLS listener, ${root.code}`);
  const tls = tlsFault(root);
  if (tls !== undefined) return told('KOL_SINK_CONFIG', tls);
  const network = networkFault(root);
  if (network !== undefined) return told('KOL_SINK_UNAVAILABLE', `a broker cannot be reached, ${network}; brokers are dialled at the addresses that they advertise`);
  if (root.name === 'KafkaJSServerDoesNotSupportApiKey') return told('KOL_SINK_CONFIG', `the broker is too old: ${root.message}`);
  if (root.name === 'KafkaJSRequestTimeoutError' || root.message === 'Connection timeout') return told('KOL_SINK_UNAVAILABLE', 'a broker does not answer: look at it, and at the network on the way to it');
  if (root.message.includes(strangeAnswer)) return told('KOL_SINK_UNAVAILABLE', strangeAnswer);
  if (/closed|not connected|disconnected/i.test(root.message)) return told('KOL_SINK_UNAVAILABLE', 'a broker closed the connection; one that does so at once asks for TLS or for a login, see spec.kafka.tls and spec.kafka.sasl');
  return told('KOL_SINK_UNAVAILABLE', `the connection to the brokers failed: ${root.message}`);
}

export function missingTopicText(topic: string): string {
  return `topic ${JSON.stringify(topic)} does not exist: create it, or set spec.provisioning.mode to ensure`;
}

function loginError(message: string, { login }: Names): [ErrorCode, string] {
  if (/not supported by the server/.test(message)) return ['KOL_SINK_CONFIG', `the broker offers no login with ${login.mechanism}: name another one in spec.kafka.sasl.mechanism, or enable it at the listener`];
  return ['KOL_SINK_AUTH', `the broker refused the login with ${login.mechanism}: correct the Secret, or let the broker know the user`];
}

type Meaning = [ErrorCode, (names: Names) => string];

const ofTopic = ({ topic }: Names): string => JSON.stringify(topic);
const noReplicas: Meaning = ['KOL_SINK_UNAVAILABLE', (names) => `fewer replicas of topic ${ofTopic(names)} are in sync than its min.insync.replicas asks for`];
const noLeader: Meaning = ['KOL_SINK_UNAVAILABLE', (names) => `topic ${ofTopic(names)} has no leader at the moment`];
const tooLarge: Meaning = ['KOL_SINK_BUSY', (names) => `topic ${ofTopic(names)} takes smaller messages than it did before`];
const newProducer: Meaning = ['KOL_SINK_UNAVAILABLE', () => 'the broker does not know the producer any more, and gets another one'];
const noSasl: Meaning = ['KOL_SINK_CONFIG', ({ login }) => `the broker offers no login with ${login.mechanism}: name another one in spec.kafka.sasl.mechanism, or enable it at the listener`];

/** By the names of the protocol's errors. */
const meanings: Readonly<Record<string, Meaning>> = {
  TOPIC_AUTHORIZATION_FAILED: ['KOL_SINK_AUTH', (names) => `the user may not do that with topic ${ofTopic(names)}: allow the operations Describe, DescribeConfigs and Write on it, and Create where it is to be created`],
  CLUSTER_AUTHORIZATION_FAILED: ['KOL_SINK_AUTH', (names) => `the user may not do that in the cluster: allow Write on topic ${ofTopic(names)} (IdempotentWrite on the cluster before Kafka 2.8), and Create on the topic or the cluster where it is to be created`],
  SASL_AUTHENTICATION_FAILED: ['KOL_SINK_AUTH', ({ login }) => `the broker refused the login with ${login.mechanism}: correct the Secret, or let the broker know the user`],
  UNSUPPORTED_SASL_MECHANISM: noSasl,
  ILLEGAL_SASL_STATE: ['KOL_SINK_CONFIG', () => 'the broker expects no login on this port: remove spec.kafka.sasl and the Secret, or write the port of its SASL listener'],
  UNKNOWN_TOPIC_OR_PARTITION: ['KOL_SINK_SCHEMA', ({ topic }) => missingTopicText(topic)],
  INVALID_TOPIC_EXCEPTION: ['KOL_SINK_CONFIG', (names) => `Kafka can have no topic ${ofTopic(names)}, or lets nobody write to it`],
  MESSAGE_TOO_LARGE: tooLarge,
  RECORD_LIST_TOO_LARGE: tooLarge,
  NOT_ENOUGH_REPLICAS: noReplicas,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: noReplicas,
  LEADER_NOT_AVAILABLE: noLeader,
  NOT_LEADER_FOR_PARTITION: noLeader,
  KAFKA_STORAGE_ERROR: ['KOL_SINK_UNAVAILABLE', () => 'the disk of a broker failed'],
  OUT_OF_ORDER_SEQUENCE_NUMBER: newProducer,
  UNKNOWN_PRODUCER_ID: newProducer,
  INVALID_PRODUCER_EPOCH: newProducer,
  UNSUPPORTED_COMPRESSION_TYPE: ['KOL_SINK_CONFIG', () => 'the broker does not know this compression: correct spec.options.compression'],
  UNSUPPORTED_VERSION: ['KOL_SINK_CONFIG', () => 'the broker speaks another version of the protocol'],
  POLICY_VIOLATION: ['KOL_SINK_CONFIG', (names) => `a policy of the brokers forbids to create topic ${ofTopic(names)} like this: correct spec.options, or create it and set spec.provisioning.mode to existing`],
  INVALID_REPLICATION_FACTOR: ['KOL_SINK_CONFIG', () => 'there are fewer brokers than a new topic is to have replicas: correct spec.options.replicas'],
  INVALID_PARTITIONS: ['KOL_SINK_CONFIG', () => 'the brokers refuse so many partitions: correct spec.options.partitions'],
  INVALID_CONFIG: ['KOL_SINK_CONFIG', () => 'the brokers refuse the configuration of a new topic: correct spec.options'],
  INVALID_RECORD: ['KOL_SINK_REFUSED', (names) => `the broker refuses what it is told: topic ${ofTopic(names)} takes only messages of another form`],
  INVALID_TIMESTAMP: ['KOL_SINK_REFUSED', (names) => `the broker refuses the time of a message: see message.timestamp.after.max.ms of topic ${ofTopic(names)}, and the clocks`],
};
