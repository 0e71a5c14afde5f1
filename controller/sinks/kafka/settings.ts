import { createHash } from 'node:crypto';
import type { KollectEventSinkSpec } from '../../../shared/api/kollect-event-sink.ts';
import type { kafkaCleanupPolicies, kafkaCompressions, kafkaOptions, kafkaSaslMechanisms } from '../../../shared/api/sinks/kafka.ts';
import { kafkaOptionForms } from '../../../shared/api/sinks/kafka.ts';
import { parseKafkaBroker, type KafkaBroker } from '../../../shared/api/sinks/kafka-broker.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';

/** What the Secret says of who we are. */
export type Login =
  | { mechanism: 'none' }
  | { mechanism: Exclude<(typeof kafkaSaslMechanisms)[number], 'OAUTHBEARER'>; username: string; password: string }
  | { mechanism: 'OAUTHBEARER'; token: string };

/** Where messages go. */
export interface TopicSettings {
  topic: string;
  /** The topic must be there. */
  mustExist: boolean;
  compression: (typeof kafkaCompressions)[number];
  /** Replicas that confirm a message: all that are in sync, or the leader alone. */
  acks: 'all' | '1';
  /** Of a topic that is created; what the broker has as default when unset. */
  created: { partitions: number | undefined; replicas: number | undefined; cleanupPolicy: (typeof kafkaCleanupPolicies)[number] | undefined };
}

export interface KafkaSinkSettings extends TopicSettings {
  brokers: readonly KafkaBroker[];
  /** The brokers, for messages and fingerprints. */
  title: string;
  login: Login;
  /** Undefined: no encryption. */
  tls: { ca: string | undefined; verifies: boolean; client: { cert: string; key: string } | undefined } | undefined;
  /** What the broker shows of us to its people. */
  clientName: string;
}

type Option = (typeof kafkaOptions)[number];

/** Reads spec, Secret and CA. Throws `KOL_SINK_CONFIG` and `KOL_SINK_SECRET_KEY`. */
export function readSettings(context: OpenContext<KollectEventSinkSpec>): KafkaSinkSettings {
  const { spec, ca, clientCertificate, name } = context;
  const topic = readTopic(spec);
  const brokers = readBrokers(spec);
  const isEncrypted = spec.kafka?.tls?.enabled ?? spec.tls !== undefined;
  return {
    ...topic,
    brokers,
    title: brokers.map(({ host, port }) => `${host.toLowerCase()}:${port}`).join(','),
    login: readLogin(context),
    tls: isEncrypted ? { ca, verifies: spec.tls?.insecureSkipVerify !== true, client: clientCertificate } : undefined,
    clientName: `kollect ${name}`,
  };
}

/** Reads the spec alone. Throws `KOL_SINK_CONFIG`. */
export function readTopic({ kafka, provisioning, options }: KollectEventSinkSpec): TopicSettings {
  if (kafka === undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.kafka is missing: set brokers and topic');
  const option = (name: Option): string | undefined => {
    const value = options?.[name]?.trim() || undefined;
    const { isValid, wish } = kafkaOptionForms[name];
    if (value !== undefined && !isValid(value)) throw new KollectError('KOL_SINK_CONFIG', `spec.options.${name} ${wish}`);
    return value;
  };
  const count = (name: Option): number | undefined => {
    const value = option(name);
    return value === undefined ? undefined : Number(value);
  };
  return {
    topic: kafka.topic.trim(),
    mustExist: provisioning?.mode === 'existing',
    compression: (option('compression') ?? 'none') as TopicSettings['compression'],
    acks: (option('acks') ?? 'all') as TopicSettings['acks'],
    created: { partitions: count('partitions'), replicas: count('replicas'), cleanupPolicy: option('cleanupPolicy') as TopicSettings['created']['cleanupPolicy'] },
  };
}

/** Who connects with equal settings shares one connection. A digest, since it covers credentials. */
export function settingsKey({ brokers, login, tls, clientName, acks }: KafkaSinkSettings): string {
  return `kafka ${createHash('sha256').update(JSON.stringify([brokers, login, tls, clientName, acks])).digest('hex')}`;
}

/** The Secret with the credentials; the kafka block's own wins. */
export function kafkaSecretRef(spec: KollectEventSinkSpec): KollectEventSinkSpec['secretRef'] {
  return spec.kafka?.secretRef ?? spec.secretRef;
}

function readBrokers({ kafka }: KollectEventSinkSpec): KafkaBroker[] {
  const brokers = (kafka?.brokers ?? []).map((address, at) => {
    try {
      return parseKafkaBroker(address);
    } catch (error) {
      throw new KollectError('KOL_SINK_CONFIG', `spec.kafka.brokers[${at}] ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  if (brokers.length === 0) throw new KollectError('KOL_SINK_CONFIG', 'spec.kafka.brokers is empty: write the brokers, such as kafka.example.com:9092');
  if (brokers.some(({ user }) => user !== undefined)) throw new KollectError('KOL_SINK_CONFIG', 'spec.kafka.brokers holds a credential: put it into a Secret, and name that in spec.kafka.secretRef');
  return brokers;
}

function readLogin({ secrets, spec }: OpenContext<KollectEventSinkSpec>): Login {
  const asked = spec.kafka?.sasl?.mechanism;
  if (kafkaSecretRef(spec) === undefined) {
    if (asked !== undefined) throw new KollectError('KOL_SINK_CONFIG', `spec.kafka.sasl asks for a login with ${asked}: name the Secret in spec.kafka.secretRef`);
    return { mechanism: 'none' };
  }
  if (asked === 'OAUTHBEARER') return { mechanism: asked, token: secrets.require('token') };
  return { mechanism: asked ?? 'SCRAM-SHA-256', username: secrets.require('username'), password: secrets.first('token') ?? secrets.require('password') };
}
