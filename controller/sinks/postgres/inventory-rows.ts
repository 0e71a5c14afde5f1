import { createHash } from 'node:crypto';
import type { InventoryIdentity, OpenContext } from '../contract.ts';
import { commitMs } from '../runtime/deadline.ts';
import { leaderMark } from './former-leaders.ts';
import type { Session } from './session.ts';
import type { TableName } from './settings.ts';

/** The rows of one inventory and cluster in a table. */
export interface InventoryRows {
  table: TableName;
  identity: InventoryIdentity;
  fence: OpenContext<unknown>['fence'];
  epoch: OpenContext<unknown>['epoch'];
  installation: string | undefined;
}

/**
 * A transaction on the rows of one inventory. It waits for another one on them to end: also for that of a connection that was lost
 * with its COMMIT under way, whose rows would come after their removal otherwise. Those of earlier leaders are ended.
 */
export async function inventoryTransaction<T>(session: Session, { table, identity, fence, epoch, installation }: InventoryRows, work: () => Promise<T>): Promise<T> {
  const { namespace, name, cluster } = identity;
  const digest = createHash('sha256').update(JSON.stringify([table.sql, namespace, name, cluster])).digest();
  return await session.transaction(work, { lock: digest.readBigInt64BE(), leader: leaderMark(installation, epoch), beforeCommit: () => fence(commitMs) });
}

/**
 * The rows of one inventory and cluster; `$1` to `$3` are `scopeValues`. A column may be a varchar, for which anybody may have made an operator that matches
 * better than the one for text.
 */
export function scope(alias: string): string {
  return `${alias}.inventory_namespace::text = $1 AND ${alias}.inventory_name::text = $2 AND ${alias}.cluster::text = $3`;
}

export function scopeValues({ namespace, name, cluster }: InventoryIdentity): string[] {
  return [namespace, name, cluster];
}
