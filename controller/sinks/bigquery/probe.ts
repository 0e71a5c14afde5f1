import type { ProbeResult } from '../contract.ts';
import type { BigQueryApi } from './api.ts';
import type { Jobs } from './jobs.ts';
import { mergeParameters } from './pass.ts';
import type { ResolvedSettings } from './settings.ts';
import { createTableStatement, mergeStatement } from './statements.ts';
import { findTable, locationOf, missingTable, verifyTable } from './table.ts';

/** Verifies what an export needs: the table as it is, and the rights, by a statement that BigQuery judges and does not run. */
export async function probeTable(api: BigQueryApi, jobs: Jobs, { table, mode, location }: ResolvedSettings, signal: AbortSignal): Promise<ProbeResult> {
  const facts = await findTable(api, table, signal);
  jobs.location = location ?? facts?.location ?? (await locationOf(api, table, signal));
  const login = `BigQuery in ${jobs.location ?? 'the location of the dataset'}: login succeeded`;
  if (facts === undefined) {
    if (mode === 'existing') throw missingTable(table);
    await jobs.dryRun({ sql: createTableStatement(table), parameters: [] }, signal);
    return { message: `${login}, the first export will create ${table.title}`, isPassing: true };
  }
  const layout = verifyTable(table, facts);
  const nothing = { identity: { namespace: 'kollect', name: 'probe', cluster: '', generation: 0 }, completeTargets: [], knownTargets: [] };
  const statement = { sql: mergeStatement(table, layout, { staging: undefined, compares: { knows: true, spares: false, onlyExempt: false } }), parameters: mergeParameters(nothing, { installation: undefined, exportedAt: new Date(0), rows: [], compares: true }) };
  const { bytes } = await jobs.dryRun(statement, signal);
  return { message: `${login}, ${table.title} has the columns and the rights that exports need; an export of no rows would be billed for ${bytes} bytes` };
}
