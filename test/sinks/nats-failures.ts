import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, DiscardPolicy } from 'nats';
import { issueCertificate, type IssuedCertificate } from '../../certs/x509.ts';
import { startNats } from '../servers/nats/index.ts';
import { canary } from './conformance.ts';
import { authority, caBundle, host, type FailurePlace } from './connection-failures.ts';

const subject = 'inventory.events';

/** NATS with JetStream over TLS. */
export async function natsFailures(onEnd: (end: () => Promise<void> | void) => void): Promise<FailurePlace> {
  let folder = '';
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text, { mode: 0o600 });
  const certify = ({ certificate, key }: IssuedCertificate): void => {
    write('tls.crt', certificate);
    write('tls.key', key);
  };
  const permit = (denied: readonly string[] = []): void =>
    write('users.conf', `authorization { users: [{ user: admin, password: "${canary}-admin" }, { user: kollect, password: "${canary}", permissions: { publish: { deny: ${JSON.stringify(denied)} } } }] }`);
  const server = await startNats({
    config: (given) => {
      folder = given;
      certify(issueCertificate(authority, { hosts: [host] }));
      permit();
      return `include "users.conf"\ntls { cert_file: "${join(folder, 'tls.crt')}", key_file: "${join(folder, 'tls.key')}" }`;
    },
  });
  onEnd(() => server.stop());
  const reload = (): void => server.process().signal('SIGHUP');
  const deny = (...denied: string[]) => (): void => {
    permit(denied);
    reload();
  };
  const admin = await connect({ servers: `127.0.0.1:${server.port}`, user: 'admin', pass: `${canary}-admin`, tls: { rejectUnauthorized: false } as object });
  onEnd(() => admin.close());
  const { streams } = await admin.jetstreamManager();
  const existing = () => ({ provisioning: { mode: 'existing' } });
  return {
    name: 'nats',
    kind: 'KollectEventSink',
    port: server.port,
    spec: ({ host: at, port }) => ({ type: 'nats', tls: { caBundle }, secretRef: { name: 'nats' }, nats: { url: `tls://${at}:${port}`, subject, stream: 'inventories' } }),
    secret: () => ({ username: 'kollect', password: canary }),
    wrong: () => ({ username: 'kollect', password: `${canary}-wrong` }),
    show: (pair) => {
      certify(pair);
      reload();
    },
    faults: [
      { what: 'a stream that may not be created', code: 'KOL_SINK_AUTH', says: /may not publish to \$JS\.API\.STREAM\.CREATE\.inventories: let it/, occur: deny('$JS.API.STREAM.CREATE.>'), mend: deny() },
      {
        what: 'a subject that another stream takes',
        code: 'KOL_SINK_SCHEMA',
        says: /stream "other" takes subject "inventory\.events" already: name it in spec\.nats\.stream, or another subject/,
        occur: () => streams.add({ name: 'other', subjects: ['inventory.>'] }),
        mend: () => streams.delete('other'),
      },
      {
        what: 'a stream that is to be there and is not',
        spec: existing,
        code: 'KOL_SINK_SCHEMA',
        says: /stream "inventories" does not exist: create it, or set spec\.provisioning\.mode to ensure/,
        mend: () => streams.add({ name: 'inventories', subjects: [subject] }),
      },
      {
        what: 'a stream without the subject',
        code: 'KOL_SINK_SCHEMA',
        says: /stream "inventories" takes "something\.else" and not "inventory\.events": add the subject to it, or name another stream/,
        occur: () => streams.update('inventories', { subjects: ['something.else'] }),
        mend: () => streams.update('inventories', { subjects: [subject] }),
      },
      {
        what: 'a stream that is full',
        code: 'KOL_SINK_UNAVAILABLE',
        says: /stream "inventories" is full, or cannot be stored: raise its limits, or let it discard old messages/,
        occur: async () => {
          await streams.update('inventories', { max_msgs: 1, discard: DiscardPolicy.New });
          await admin.jetstream().publish(subject);
        },
        mend: () => streams.update('inventories', { discard: DiscardPolicy.Old }),
      },
      { what: 'a subject that may not be published to', code: 'KOL_SINK_AUTH', says: /the user may not publish to inventory\.events: let it publish to inventory\.events/, occur: deny(subject), mend: deny() },
    ],
    beginning: 'INFO {',
    stranger: { code: 'KOL_SINK_UNAVAILABLE', says: /: see whether it is NATS that listens there/ },
  };
}
