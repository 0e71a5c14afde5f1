import type { InventoryIdentity } from '../contract.ts';
import type { Jobs } from './jobs.ts';
import { scopeOf, text } from './parameters.ts';
import type { TableName } from './settings.ts';
import { surveyStatement, type TableLayout } from './statements.ts';

/** What a table holds of an inventory. */
export interface Survey {
  rows: number;
  /** Fewer than `rows` when two writers inserted a row at the same time. */
  keys: number;
  /** Rows that no installation is known to have written. */
  unowned: number;
  /** Rows of other installations. */
  others: number;
  /** Of all rows, as the snapshot has it; undefined where not every row has a hash, or a key is there twice. */
  digest: string | undefined;
}

export async function survey(jobs: Jobs, table: TableName, layout: TableLayout, identity: InventoryIdentity, installation: string | undefined, signal: AbortSignal): Promise<Survey> {
  const statement = { sql: surveyStatement(table, layout), parameters: [...scopeOf(identity), text('installation', installation)] };
  const row = await jobs.row(statement, signal);
  const number = (name: string): number => Number(row[name] ?? 0);
  const [rows, keys] = [number('held'), number('distinct_keys')];
  return { rows, keys, unowned: number('unowned'), others: number('others'), digest: layout.hashed && keys === rows && number('hashed') === rows ? digestOf(row) : undefined };
}

/** The sum of the hashes, of which BigQuery has added up the words. */
function digestOf(row: Readonly<Record<string, string | null>>): string {
  let sum = 0n;
  for (let index = 0; index < 8; index++) sum = (sum << 32n) + BigInt(row[`word${index}`] ?? 0);
  return BigInt.asUintN(256, sum).toString(16).padStart(64, '0');
}
