import t from 'tap';
import { maxRowBytes } from '../../controller/sinks/bigquery/pass.ts';
import { bigqueryPlace, bigqueryServer } from './bigquery-place.ts';
import { conforms } from './conforms.ts';

const server = await bigqueryServer();
t.teardown(() => server.stop());

conforms({
  name: 'bigquery',
  supports: { changes: true, rowRefusal: false, counts: true, digests: false, owners: true, rowQuestions: false, nul: false },
  maxRowBytes,
  destination: () => bigqueryPlace(server),
});
