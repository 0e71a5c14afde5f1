import type { MongoClient } from 'mongodb';
import { KollectError } from '../../../shared/errors.ts';
import type { ProbeResult } from '../contract.ts';
import { inspectCollection, verifyCollection } from './collection.ts';
import type { CollectionSettings, MongoSinkSettings } from './settings.ts';
import { stateCollection } from './state.ts';

interface Privilege {
  resource: { db?: string; collection?: string; anyResource?: boolean };
  actions: readonly string[];
}

/** Verifies what an export needs: login, rights, and the collection with its index or the right to create them. Nothing is written. */
export async function probeCollection(client: MongoClient, settings: MongoSinkSettings): Promise<ProbeResult> {
  const { title, database, collection, mustExist, tls, uri } = settings;
  const facts = await inspectCollection(client, settings);
  verifyCollection(facts, settings);
  const missing = facts.isThere ? (facts.isUnique ? [] : ['createIndex']) : ['createCollection', 'createIndex'];
  await verifyRights(client, settings, collection, ['find', 'insert', 'update', 'remove', ...missing]);
  if (!mustExist) await verifyRights(client, settings, stateCollection, ['find', 'insert', 'update', 'remove']);
  const login = `MongoDB, ${tls ? 'TLS' : 'without TLS'}, ${uri.user === undefined && uri.authMechanism === undefined ? 'without a login' : 'login succeeded'}`;
  if (!facts.isThere) return { message: `${login}: the first export will create ${title}`, isPassing: true };
  if (!facts.isUnique) return { message: `${login}: the first export will create the unique index of ${title}`, isPassing: true };
  return { message: `${login}: ${title} has the unique index and the user the rights that exports need in database ${JSON.stringify(database)}` };
}

/** Servers tell what a user may do, but for those that know no rights. */
async function verifyRights(client: MongoClient, { database, title }: CollectionSettings, collection: string, wanted: readonly string[]): Promise<void> {
  const { authInfo } = await client.db('admin').command({ connectionStatus: 1, showPrivileges: true });
  const privileges = (authInfo as { authenticatedUserPrivileges?: readonly Privilege[] } | undefined)?.authenticatedUserPrivileges;
  if (!privileges || privileges.length === 0) return;
  const matches = ({ anyResource, db, collection: of }: Privilege['resource']): boolean => anyResource === true || ((db === '' || db === database) && (of === '' || of === collection));
  const granted = new Set(privileges.filter(({ resource }) => matches(resource)).flatMap(({ actions }) => actions));
  const lacking = wanted.filter((action) => !granted.has(action) && !granted.has('anyAction'));
  if (lacking.length > 0) throw new KollectError('KOL_SINK_AUTH', `the user lacks ${lacking.join(', ')} on ${collection === stateCollection ? `collection "${database}.${collection}"` : title}: give it the role readWrite on database ${JSON.stringify(database)}`);
}
