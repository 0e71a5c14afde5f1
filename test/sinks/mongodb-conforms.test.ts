import { MongoClient } from 'mongodb';
import t from 'tap';
import { maxRowBytes } from '../../controller/sinks/mongodb/documents.ts';
import { startMongo } from '../servers/mongodb/index.ts';
import { canary } from './conformance.ts';
import { conforms } from './conforms.ts';
import { mongoPlace } from './mongodb-place.ts';

const server = await startMongo({ password: canary });
const admin = await MongoClient.connect(server.uri);
const ends: (() => Promise<void> | void)[] = [() => admin.close()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
  await server.stop();
});

conforms({
  name: 'mongodb',
  // Of single documents this server refuses only those that others take.
  supports: { changes: true, rowRefusal: false, counts: true, digests: true, owners: true, rowQuestions: true, nul: true },
  maxRowBytes,
  // It reads all of a collection for each question, and hangs at a hundred updates together.
  manyRows: 500,
  keyHasCluster: false,
  destination: () => mongoPlace(server, admin, (end) => ends.push(end)),
});
