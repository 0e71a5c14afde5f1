import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import kafkajs from 'kafkajs';
import { issueCertificate } from '../../certs/x509.ts';
import { startKafka } from '../servers/kafka/index.ts';
import { canary } from './conformance.ts';
import { authority, caBundle, host, type FailurePlace } from './connection-failures.ts';
import { readerOf } from './kafka-place.ts';

const topic = 'inventory.changes';

/** Kafka behind something that ends TLS, and can do so with another certificate at once. */
export async function kafkaFailures(onEnd: (end: () => Promise<void> | void) => void): Promise<FailurePlace> {
  const good = issueCertificate(authority, { hosts: [host] });
  const front = createServer({ cert: good.certificate, key: good.key }, (socket: TLSSocket) => {
    const behind = connect(server.port, '127.0.0.1').on('error', () => socket.destroy());
    socket.on('error', () => behind.destroy()).once('close', () => behind.destroy());
    socket.pipe(behind).pipe(socket);
  });
  await once(front.listen(0, '127.0.0.1'), 'listening');
  const { port } = front.address() as AddressInfo;
  const server = await startKafka({
    user: { name: 'kollect', password: canary },
    properties: ({ plainPort }) => ({
      'advertised.listeners': `CLIENT://${host}:${port},INTERNAL://127.0.0.1:${plainPort}`,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
    }),
  });
  onEnd(() => server.stop());
  onEnd(() => void front.close());
  const reader = await readerOf(server);
  onEnd(() => reader.close());
  const { AclOperationTypes: may, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
  const right = (operation: number) => ({ principal: 'User:kollect', host: '*', operation, permissionType: AclPermissionTypes.ALLOW, resourceType: AclResourceTypes.TOPIC, resourceName: topic, resourcePatternType: ResourcePatternTypes.LITERAL });
  const allow = (...operations: number[]) => reader.admin.createAcls({ acl: operations.map(right) });
  const deny = (operation: number) => () => reader.admin.deleteAcls({ filters: [right(operation)] });
  await allow(may.DESCRIBE, may.DESCRIBE_CONFIGS, may.WRITE, may.CREATE);
  const existing = () => ({ provisioning: { mode: 'existing' } });
  return {
    name: 'kafka',
    kind: 'KollectEventSink',
    port,
    spec: ({ host: at, port: number }) => ({ type: 'kafka', tls: { caBundle }, secretRef: { name: 'kafka' }, kafka: { brokers: [`${at}:${number}`], topic } }),
    secret: () => ({ username: 'kollect', password: canary }),
    wrong: () => ({ username: 'kollect', password: `${canary}-wrong` }),
    show: ({ certificate, key }) => front.setSecureContext({ cert: certificate, key }),
    faults: [
      { what: 'a topic that may not be created', code: 'KOL_SINK_AUTH', says: /allow .*Create/, occur: deny(may.CREATE), mend: () => allow(may.CREATE) },
      { what: 'more replicas than there are brokers', spec: () => ({ options: { replicas: '3' } }), code: 'KOL_SINK_CONFIG', says: /fewer brokers than a new topic is to have replicas: correct spec\.options\.replicas/ },
      {
        what: 'a topic that is to be there and is not',
        spec: existing,
        code: 'KOL_SINK_SCHEMA',
        says: /topic "inventory\.changes" does not exist: create it, or set spec\.provisioning\.mode to ensure/,
        mend: () => reader.admin.createTopics({ topics: [{ topic }], waitForLeaders: true }),
      },
      { what: 'a user that may write nowhere', code: 'KOL_SINK_AUTH', says: /allow Write on topic "inventory\.changes"/, occur: deny(may.WRITE), mend: () => allow(may.WRITE) },
      { what: 'a login that the listener does not offer', spec: ({ host: at, port: number }) => ({ kafka: { brokers: [`${at}:${number}`], topic, sasl: { mechanism: 'OAUTHBEARER' } } }), secret: () => ({ token: `${canary}-token` }), code: 'KOL_SINK_CONFIG', says: /offers no login with OAUTHBEARER: name another one/ },
    ],
    // A record of TLS that has 16,128 bytes.
    beginning: '\u0016\u0003\u0003\u003f\0',
    stranger: { code: 'KOL_SINK_CONFIG', says: /the broker offers no TLS on this port: remove spec\.tls and spec\.kafka\.tls, or write the port of its TLS listener/ },
  };
}
