import type { Collection, Filter, MongoClient } from 'mongodb';
import { KollectError } from '../../../shared/errors.ts';
import type { InventoryIdentity, LeaderEpoch, SnapshotState } from '../contract.ts';
import { unknownInstallation } from '../runtime/errors.ts';
import { codes, serverCode } from './errors.ts';
import type { CollectionSettings } from './settings.ts';

/** One collection a database, beside those with rows. */
export const stateCollection = 'kollect_state';

/** Who owns the documents of an inventory, and what the last confirmed pass left. `digest` is null while a pass is under way or rows are in quarantine. */
export interface StateDocument {
  /** Collection, namespace, name and cluster, as JSON. */
  _id: string;
  installation: string;
  rows: number | null;
  digest: string | null;
  changed_at: Date;
  /** Number of the leader who wrote last. */
  epoch: number | null;
}

/** Who writes, and which inventory. */
export interface Writer {
  settings: CollectionSettings;
  identity: InventoryIdentity;
  installation: string | undefined;
  epoch: LeaderEpoch | undefined;
}

/** What is known of an inventory; undefined when nothing. */
export async function readState(client: MongoClient, writer: Pick<Writer, 'settings' | 'identity'>): Promise<StateDocument | undefined> {
  return (await statesOf(client, writer).findOne({ _id: idOf(writer) })) ?? undefined;
}

/** Throws `KOL_SINK_OWNER` when the documents are another installation's, and `KOL_LEADER_LOST` when a later leader has written since. */
export function verifyWriter(state: StateDocument | undefined, writer: Writer): void {
  if (state === undefined) return;
  if (state.installation !== writer.installation) throw foreignOwner(writer);
  const { epoch, settings } = writer;
  if (state.epoch === null || epoch === undefined || epoch.current() >= state.epoch) return;
  epoch.outrank(state.epoch);
  throw new KollectError('KOL_LEADER_LOST', `${settings.title} was written by leader ${state.epoch} since, and this process was leader ${epoch.current()}: it writes again if it still leads`);
}

/** Writes down what there is now; `undefined` when that cannot be told. Somebody who wrote meanwhile, or who leads since, is not overwritten: see `verifyWriter`. */
export async function recordState(client: MongoClient, writer: Writer, state: SnapshotState | undefined): Promise<void> {
  const { installation, epoch } = writer;
  if (installation === undefined) return;
  const number = epoch?.current();
  const filter: Filter<StateDocument> = { _id: idOf(writer), installation, ...(number !== undefined && { $or: [{ epoch: null }, { epoch: { $lte: number } }] }) };
  const fields = { rows: state?.rows ?? null, digest: state?.digest ?? null, changed_at: new Date(), ...(number !== undefined && { epoch: number }) };
  try {
    await statesOf(client, writer).updateOne(filter, { $set: fields, ...(number === undefined && { $setOnInsert: { epoch: null } }) }, { upsert: true });
  } catch (error) {
    if (serverCode(error) !== codes.duplicateKey) throw error;
    verifyWriter(await readState(client, writer), writer);
    throw new KollectError('KOL_SINK_BUSY', `somebody else wrote to ${writer.settings.title} at the same time`);
  }
}

/** Forgets an inventory of ours whose documents are gone. */
export async function forgetState(client: MongoClient, writer: Writer): Promise<void> {
  await statesOf(client, writer).deleteOne({ _id: idOf(writer), ...(writer.installation !== undefined && { installation: writer.installation }) });
}

/** The error of documents that another installation wrote under the same names. */
export function foreignOwner({ settings: { title, database }, identity: { namespace, name, cluster }, installation }: Pick<Writer, 'settings' | 'identity' | 'installation'>): KollectError {
  const which = `inventory ${namespace}/${name} of ${cluster === '' ? 'a cluster without a name' : `cluster ${JSON.stringify(cluster)}`}`;
  if (installation === undefined) return new KollectError('KOL_SINK_OWNER', `${title} holds rows of ${which} that an installation wrote, and nobody knows whether it is this one: ${unknownInstallation}`);
  return new KollectError('KOL_SINK_OWNER', `${title} holds rows of ${which} that another installation wrote: give each cluster a name of its own in spec.cluster, or delete the entry in ${database}.${stateCollection} if that installation is gone`);
}

function statesOf(client: MongoClient, { settings: { database } }: Pick<Writer, 'settings'>): Collection<StateDocument> {
  return client.db(database).collection<StateDocument>(stateCollection);
}

function idOf({ settings: { collection }, identity: { namespace, name, cluster } }: Pick<Writer, 'settings' | 'identity'>): string {
  return JSON.stringify([collection, namespace, name, cluster]);
}
