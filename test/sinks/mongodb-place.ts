import { randomUUID } from 'node:crypto';
import type { MongoClient } from 'mongodb';
import type { KollectDatabaseSinkSpec } from '../../shared/api/kollect-database-sink.ts';
import type { RowDocument } from '../../controller/sinks/mongodb/documents.ts';
import { openSink, type OpenedSink, type OpenSinkOptions } from '../../controller/sinks/runtime/open-sink.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { eventually } from '../servers/eventually.ts';
import type { Destination } from './conformance.ts';

type Spec = Omit<Partial<KollectDatabaseSinkSpec>, 'mongodb'> & { mongodb?: Partial<NonNullable<KollectDatabaseSinkSpec['mongodb']>> };

export interface OpenMongoOptions extends Partial<Omit<OpenSinkOptions, 'sink' | 'readSecret'>> {
  spec?: Spec | undefined;
  secret?: Record<string, string>;
}

/** A KollectDatabaseSink that reads Secret `mongo`, opened as the controller does. */
export async function openMongo(uri: string, { spec, secret = { uri }, policy = { allowPrivate: true, allowLoopback: true }, ...options }: OpenMongoOptions = {}): Promise<OpenedSink> {
  const data = Object.fromEntries(Object.entries(secret).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const sink = { kind: 'KollectDatabaseSink', metadata: { name: 'documents', namespace: 'team-a' }, spec: { type: 'mongodb', ...spec, mongodb: { databaseRef: { name: 'mongo' }, database: 'inventory', collection: 'items', ...spec?.mongodb } } };
  return await openSink({ sink, readSecret: async () => ({ metadata: { resourceVersion: '1' }, data }), policy, ...options });
}

export interface MongoPlace extends Destination {
  database: string;
  proxy: TcpProxy;
  opened(options?: OpenMongoOptions): Promise<OpenedSink>;
}

/** A database of its own behind a proxy that can lose answers. `admin` is connected to the server directly. */
export async function mongoPlace(server: { port: number; uri: string }, admin: MongoClient, onEnd: (end: () => Promise<void> | void) => void): Promise<MongoPlace> {
  const database = `d${randomUUID().slice(0, 8)}`;
  // The field comes with every document that is written, and with no question. A deletion has no documents.
  const proxy = await new TcpProxy(server.port, 'exported_at').start();
  onEnd(() => proxy.stop());
  const uri = server.uri.replace(String(server.port), String(proxy.port));
  const rows = admin.db(database).collection<RowDocument>('items');
  const opened: MongoPlace['opened'] = ({ spec, ...options } = {}) => openMongo(uri, { ...options, spec: { ...spec, mongodb: { database, ...spec?.mongodb } } });
  return {
    database,
    proxy,
    opened,
    open: async (options) => (await opened(options)).sink,
    contents: async () =>
      (await rows.find({}).toArray())
        .map((document) => ({
          inventory: `${document.inventory_namespace}/${document.inventory_name}`,
          cluster: document.cluster,
          target: document.target_name,
          uid: document.source_uid,
          payload: JSON.stringify(document.payload),
          written: `${document._id.toHexString()} ${document.exported_at.toISOString()}`,
        }))
        .sort((a, b) => ([a.inventory, a.cluster, a.target, a.uid].join('\0') < [b.inventory, b.cluster, b.target, b.uid].join('\0') ? -1 : 1)),
    refuse: async () => undefined,
    touched: async () => (await admin.db(database).listCollections().toArray()).length > 0,
    loseConfirmation: (later) => (later === Infinity ? proxy.heal() : proxy.breakCommit('cut', later)),
    loseAnswer: () => proxy.breakCommit('silence'),
    holdNextWrite: async () => {
      const sent = proxy.sent;
      proxy.freeze();
      return { waiting: () => eventually(async () => proxy.sent > sent, { what: 'a write that waits' }).then(() => undefined), release: async () => proxy.thaw() };
    },
  };
}
