import type { Db, IndexDescriptionInfo, MongoClient } from 'mongodb';
import { KollectError } from '../../../shared/errors.ts';
import { keyFields } from './documents.ts';
import { codes, missingText, serverCode } from './errors.ts';
import type { CollectionSettings } from './settings.ts';

/** Keys of the unique index. */
export const indexKeys = Object.fromEntries(keyFields.map((field) => [field, 1 as const]));

/** How the collection is. */
export interface CollectionFacts {
  isThere: boolean;
  /** It has a unique index on the key of a document. */
  isUnique: boolean;
}

export async function inspectCollection(client: MongoClient, { database, collection, title }: CollectionSettings): Promise<CollectionFacts> {
  const db = client.db(database);
  const [found] = await db.listCollections({ name: collection }).toArray();
  if (found === undefined) return { isThere: false, isUnique: false };
  if (found.type === 'view' || found.type === 'timeseries') throw new KollectError('KOL_SINK_SCHEMA', `${title} is a ${found.type}, which cannot be written to like a collection: name another one`);
  const indexes = await db.collection(collection).indexes();
  return { isThere: true, isUnique: indexes.some(isFit) };
}

/** The collection, fit for writing. Under `ensure` it and its index are created when they are missing. Throws `KOL_SINK_SCHEMA`. */
export async function prepareCollection(client: MongoClient, settings: CollectionSettings): Promise<void> {
  const facts = await inspectCollection(client, settings);
  verifyCollection(facts, settings);
  const db = client.db(settings.database);
  if (!facts.isThere) await create(db, settings.collection);
  if (!facts.isUnique) await db.collection(settings.collection).createIndex(indexKeys, { unique: true });
}

/** Throws `KOL_SINK_SCHEMA` when something is missing that is not created. */
export function verifyCollection({ isThere, isUnique }: CollectionFacts, { mustExist, title }: CollectionSettings): void {
  if (!mustExist) return;
  if (!isThere) throw new KollectError('KOL_SINK_SCHEMA', missingText(title));
  if (!isUnique) throw new KollectError('KOL_SINK_SCHEMA', `${title} has no unique index on ${keyFields.join(', ')}: create it, or set spec.provisioning.mode to ensure`);
}

async function create(db: Db, collection: string): Promise<void> {
  try {
    await db.createCollection(collection);
  } catch (error) {
    // Somebody else did at the same moment.
    if (serverCode(error) !== codes.namespaceExists) throw error;
  }
}

/** One that is unique on these fields, and for all documents. */
function isFit({ key, unique, partialFilterExpression, sparse }: IndexDescriptionInfo): boolean {
  const fields = Object.keys(key);
  return unique === true && !partialFilterExpression && !sparse && fields.length === keyFields.length && keyFields.every((field) => fields.includes(field));
}
