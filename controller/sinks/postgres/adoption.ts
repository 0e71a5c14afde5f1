import type { InventoryIdentity } from '../contract.ts';
import { scope, scopeValues } from './inventory-rows.ts';
import type { Session } from './session.ts';
import type { TableName } from './settings.ts';
import { readState, stateName } from './state.ts';
import type { WriteTarget } from './upsert.ts';

/**
 * Rows that somebody else wrote under the names of an inventory, and nobody owns: an earlier implementation of Kollect, or a person. They are taken
 * over, and what is stale among them does not go before a human has allowed it.
 */
export interface Adoption {
  /** The inventory in portions, as which that implementation wrote what was large for it: `<name>.part-0001-of-0003`. Nobody keeps them up to date. */
  portions: InventoryIdentity[];
}

/** What is to be taken over; undefined when the rows are somebody's, or there are none. Without a table of states nobody can tell. */
export async function findAdoption(session: Session, target: WriteTarget): Promise<Adoption | undefined> {
  const { table, layout, identity, installation } = target;
  if (!layout.state || installation === undefined) return undefined;
  return await session.transaction(async () => {
    if ((await readState(session, table, identity)) !== undefined) return undefined;
    const portions = await findPortions(session, target);
    if (portions.length > 0) return { portions };
    return (await holdsRows(session, table, identity)) ? { portions } : undefined;
  });
}

/** Portions of an inventory, but for an inventory that is really called so and has an owner. */
export async function findPortions(session: Session, { table, identity, layout }: Pick<WriteTarget, 'table' | 'identity' | 'layout'>): Promise<InventoryIdentity[]> {
  const owned = layout.state
    ? ` AND NOT EXISTS (SELECT FROM ${stateName(table.schema)} AS s WHERE s.table_name = $4 AND s.inventory_namespace = $1 AND s.inventory_name = names.name AND s.cluster = $3)`
    : '';
  // From name to name along the key: reading all rows of the namespace would outlast a timeout.
  const next = `SELECT t.inventory_name::text AS name FROM ${table.sql} AS t WHERE t.inventory_namespace::text = $1`;
  const text = `WITH RECURSIVE names AS ((${next} ORDER BY 1 LIMIT 1)
  UNION ALL SELECT (${next} AND t.inventory_name::text > names.name ORDER BY 1 LIMIT 1) FROM names WHERE names.name IS NOT NULL)
SELECT names.name FROM names WHERE left(names.name, length($2) + 6) = $2 || '.part-' AND substr(names.name, length($2) + 7) ~ '^[0-9]{4}-of-[0-9]{4}$'${owned}`;
  const { rows } = await session.query<{ name: string }>({ text, values: layout.state ? [...scopeValues(identity), table.table] : scopeValues(identity).slice(0, 2) });
  const portions: InventoryIdentity[] = [];
  for (const { name } of rows) if (await holdsRows(session, table, { ...identity, name })) portions.push({ ...identity, name });
  return portions;
}

async function holdsRows(session: Session, table: TableName, identity: InventoryIdentity): Promise<boolean> {
  const { rows } = await session.query({ text: `SELECT FROM ${table.sql} AS t WHERE ${scope('t')} LIMIT 1`, values: scopeValues(identity) });
  return rows.length > 0;
}
