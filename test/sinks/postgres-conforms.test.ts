import t from 'tap';
import { maxRowBytes } from '../../controller/sinks/postgres/rows.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { conforms } from './conforms.ts';
import { postgresPlace } from './postgres-place.ts';

const server = await startPostgres();
const ends: (() => Promise<void> | void)[] = [];
t.teardown(async () => {
  for (const end of ends) await end();
  await server.stop();
});

conforms({
  name: 'postgres',
  supports: { changes: true, rowRefusal: true, counts: true, digests: true, owners: true, rowQuestions: true, nul: false },
  maxRowBytes,
  destination: () => postgresPlace(server, (end) => ends.push(end)),
});
