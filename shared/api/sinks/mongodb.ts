import { z } from 'zod';
import { SecretReference } from '../meta.ts';
import { nonEmpty } from '../text.ts';

/** Settings of the type mongodb. */
export const MongoDbSettings = z.object({
  databaseRef: SecretReference.meta({ description: 'Secret with the connection string, such as mongodb://user:password@host:27017, under uri, url, connectionString or MONGODB_URI.' }),
  database: nonEmpty.meta({ description: 'Database of the collection.' }),
  collection: nonEmpty.meta({ description: 'Collection that the rows are written to, one document each.' }),
});
export type MongoDbSettings = z.infer<typeof MongoDbSettings>;

export const mongodbOptions = ['maxPoolSize', 'w', 'wtimeoutMS'] as const;
