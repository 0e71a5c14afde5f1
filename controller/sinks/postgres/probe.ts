import { KollectError } from '../../../shared/errors.ts';
import type { ProbeResult } from '../contract.ts';
import { readOnlyText } from './errors.ts';
import { inspectTable, missingTable, verifyCreation, verifyTable } from './schema.ts';
import type { Session } from './session.ts';
import { stateTable } from './state.ts';
import type { ResolvedSettings } from './settings.ts';

/** Verifies what an export needs, by questions to the catalogue alone. */
export async function probeTable(session: Session, settings: ResolvedSettings): Promise<ProbeResult> {
  const { table, tls, mode } = settings;
  const state = await inspectTable(session, table);
  if (state.readOnly) {
    // The next one may be led elsewhere.
    session.broken = true;
    throw new KollectError('KOL_SINK_BUSY', readOnlyText);
  }
  const login = `PostgreSQL ${state.version.split(' ')[0]}, ${session.encrypted ? tls.title : 'without TLS'}`;
  if (state.table === null) {
    if (mode === 'existing') throw missingTable(table);
    verifyCreation(table, state);
    return { message: `${login}: login succeeded, the first export will create ${table.title}`, isPassing: true };
  }
  verifyTable(settings, state, state.table);
  const isRecorded = mode === 'existing' || (state.stateUsable ?? state.schemaCreate);
  const unrecorded = isRecorded ? '' : `; ${stateTable} beside it cannot be created or written, so that nobody can tell whose rows are whose`;
  return { message: `${login}: login succeeded, ${table.title} has the columns, the key and the privileges that exports need${unrecorded}` };
}
