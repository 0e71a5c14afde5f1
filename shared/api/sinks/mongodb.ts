import { z } from 'zod';
import { SecretReference } from '../meta.ts';

export const MongoDbSettings = z.object({
  databaseRef: SecretReference.meta({ description: 'Secret with the connection string under uri, url, connectionString or MONGODB_URI.' }),
  database: z.string().meta({ description: 'Database.' }),
  collection: z.string().meta({ description: 'Collection that the rows are written to.' }),
});

export const mongodbOptions = ['maxPoolSize', 'w', 'wtimeoutMS'] as const;
