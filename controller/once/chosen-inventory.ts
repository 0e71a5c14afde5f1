import type { KollectClusterInventorySpec } from '../../shared/api/kollect-cluster-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import { ClusterRows, selectsTarget } from '../inventory/cluster-rows.ts';
import { exportNamespace } from '../inventory/inventory-kind.ts';
import { InventoryView } from '../inventory/view.ts';
import { checkObject } from '../object-check.ts';
import type { CollectedOnce } from './collect-once.ts';
import { titleOf, type GivenObjects } from './given-objects.ts';

/** What is exported: the rows of an inventory, or of all targets that are given. */
export interface ChosenInventory {
  /** Undefined: all targets form one. */
  object: KubeObject | undefined;
  targets: readonly KubeObject[];
  /** Without the cluster, which is the sink's to say. */
  identity: { namespace: string; name: string; generation: number };
}

/** Name of what all targets form together. */
const nameOfAll = 'export';

/**
 * Finds the inventory: the one of the name, else the only one, else all targets. Throws `KOL_EXPORT_INPUT` when there is none of the name, or there are several to choose from.
 *
 * @param name `<namespace>/<name>`, or the name alone where it tells enough
 */
export function chooseInventory(given: GivenObjects, name: string | undefined): ChosenInventory {
  const all = [...given.all('KollectInventory'), ...given.all('KollectClusterInventory')];
  const named = name === undefined ? all : all.filter(({ metadata }) => name === (metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`) || name === metadata.name);
  const [object, other] = named;
  if (name !== undefined && object === undefined) {
    throw new KollectError('KOL_EXPORT_INPUT', `there is no inventory ${JSON.stringify(name)}${all.length === 0 ? '' : `; there are ${listed(all)}`}`);
  }
  if (other !== undefined) throw new KollectError('KOL_EXPORT_INPUT', `there are ${named.length} inventories, ${listed(named)}: name one with --inventory`);
  const targets = targetsOf(given, object);
  if (targets.length === 0) throw new KollectError('KOL_EXPORT_INPUT', object === undefined ? 'no KollectTarget or KollectClusterTarget is given: they say what to export' : `${titleOf(object)} has no targets`);
  if (object === undefined) {
    const namespaces = new Set(targets.map(exportNamespace));
    return { object, targets, identity: { namespace: namespaces.size === 1 ? [...namespaces][0]! : 'cluster', name: nameOfAll, generation: 0 } };
  }
  const checked = checkObject(object.kind, object);
  if (checked.message !== undefined) throw new KollectError('KOL_EXPORT_INPUT', `${titleOf(object)}: ${checked.message}`);
  if ((object['spec'] as { suspend?: boolean }).suspend) throw new KollectError('KOL_EXPORT_INPUT', `${titleOf(object)} is suspended: its sinks keep what they hold until spec.suspend is removed`);
  return { object, targets, identity: { namespace: exportNamespace(object), name: object.metadata.name, generation: object.metadata.generation ?? 0 } };
}

/** Sinks know the rows of a target by its name. Throws `KOL_EXPORT_INPUT` when targets of several namespaces, which no inventory has together, have the same. */
export function needOneOfEachName({ targets }: ChosenInventory): void {
  const names = targets.map(({ metadata }) => metadata.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new KollectError('KOL_EXPORT_INPUT', `several targets have the name ${JSON.stringify(twice)}, which would be one for a sink: give an inventory and name it with --inventory`);
}

/** The rows of the inventory, as the controller has them. */
export function viewOf({ object, targets }: ChosenInventory, { store, namespaces }: CollectedOnce): InventoryView {
  const unchanged = (): void => undefined;
  const known = { get: (key: string) => namespaces.get(key.slice(1)) };
  if (object?.kind === 'KollectClusterInventory') {
    const byKey = new Map(targets.map((target) => [`/${target.metadata.name}`, target]));
    const rows = new ClusterRows({ targets: byKey, namespaces: known, store, isListed: () => true, pace: atOnce }, unchanged);
    rows.select(object);
    rows.close();
    if (rows.view.isTurning) throw new KollectError('KOL_INTERNAL', `the rows of ${titleOf(object)} could not be selected`);
    return rows.view;
  }
  const view = new InventoryView(object?.metadata.namespace ?? '', unchanged);
  for (const target of store.targets()) view.addTarget(target);
  return view;
}

function targetsOf(given: GivenObjects, inventory: KubeObject | undefined): KubeObject[] {
  const namespaced = given.all('KollectTarget');
  const cluster = given.all('KollectClusterTarget');
  if (inventory === undefined) return [...namespaced, ...cluster];
  if (inventory.kind === 'KollectInventory') return namespaced.filter(({ metadata }) => metadata.namespace === inventory.metadata.namespace);
  return cluster.filter((target) => selectsTarget((inventory['spec'] ?? {}) as KollectClusterInventorySpec, target.metadata.name, target));
}

/** Nobody waits for a turn. */
async function atOnce<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
  for (const item of items) work(item);
}

function listed(objects: readonly KubeObject[]): string {
  const shown = objects.slice(0, 10).map(({ metadata }) => (metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`));
  return objects.length > shown.length ? `${shown.join(', ')} and ${objects.length - shown.length} more` : shown.join(', ');
}
