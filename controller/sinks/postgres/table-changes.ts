import type { Session } from './session.ts';
import type { TableName } from './settings.ts';

/**
 * What the statistics of the server tell of a table, at no cost: another text after a change of its rows, by whoever it was. It may come some seconds after the
 * change. Undefined when they tell nothing, as of tables of several parts, or of servers that keep none.
 */
export async function tableChanges(session: Session, { schema, table }: TableName): Promise<string | undefined> {
  const { rows } = await session.query<{ changes: string }>({ text: question, values: [schema, table] });
  return rows[0]?.changes;
}

// A statistic that was reset, or is not kept, has no row that was ever inserted.
const question = `SELECT concat_ws('/', c.oid, c.relfilenode, s.n_tup_ins, s.n_tup_upd, s.n_tup_del) AS changes
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE s.schemaname = $1 AND s.relname = $2 AND c.relkind = 'r' AND NOT c.relhassubclass AND s.n_tup_ins > 0 AND current_setting('track_counts') = 'on'`;
