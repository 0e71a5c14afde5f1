import { z } from 'zod';
import { SecretReference } from '../meta.ts';
import { nonEmpty } from '../text.ts';
import type { SinkTypeFacts } from '../sink-types.ts';

/** `w` is `majority` or a number of servers. */
export const mongodbOptions = ['maxPoolSize', 'w', 'wtimeoutMS'] as const;

/** Settings of the type mongodb. */
export const MongoDbSettings = z.object({
  databaseRef: SecretReference.meta({ description: 'Secret with the connection string, such as mongodb://user:password@host:27017, under uri, url, connectionString or MONGODB_URI.' }),
  database: nonEmpty.meta({ description: 'Database of the collection.' }),
  collection: nonEmpty.meta({ description: 'Collection that the rows are written to, one document each.' }),
});
export type MongoDbSettings = z.infer<typeof MongoDbSettings>;

export const mongodb = {
  family: 'database',
  block: 'mongodb',
  settings: MongoDbSettings,
  about: 'Settings of type mongodb.',
  isBlockRequired: true,
  formats: ['json'],
  compressions: ['none'],
  options: mongodbOptions,
  hasLayout: false,
  isBuilt: true,
} as const satisfies SinkTypeFacts;
