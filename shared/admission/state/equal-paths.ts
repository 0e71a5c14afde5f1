import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import { invalid, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterInventory, KnownInventory, KnownSink, Lookups } from '../lookups.ts';
import type { Loose } from '../rule.ts';
import { titled } from './known-scope.ts';
import { overlaid } from './object-lookups.ts';
import { sinkReferences } from './sink-references.ts';
import { snapshotPath, snapshotPlace } from './snapshot-destination.ts';
import type { KnownAddresses, SnapshotPlace } from './snapshot-destination.ts';

export type AnyInventory = KnownInventory | KnownClusterInventory;

/** An inventory writes a file through a sink. */
interface Written extends SnapshotPlace {
  path: string;
  inventory: AnyInventory;
  sink: { namespace: string; name: string };
  nameField: string;
}

/** More inventories than this are not compared: the sink refuses a clash when it writes. */
const maxInventories = 5_000;

/** Two inventories at one path would overwrite each other in turn. The inventory that is judged must not join another one there. */
export function inventoryPaths(lookups: Lookups, inventory: AnyInventory, report: Report): void {
  const addresses: KnownAddresses = new Map();
  const own = [...writtenBy(lookups, inventory, addresses)];
  if (own.length === 0) return;
  const taken: Written[] = [];
  for (const written of own) {
    const other = taken.find((earlier) => isSamePlace(earlier, written));
    if (other !== undefined) report(invalid(written.nameField, written.sink.name, `would write to ${placeText(written)}, as ${other.nameField} does already; give one of the sinks another pathTemplate, or remove the reference`));
    else taken.push(written);
  }
  const places = new Set(taken.map(({ place }) => place));
  for (const written of writtenByOthers(lookups, inventory, addresses, places)) clash(written, taken, { field: ({ nameField }) => nameField, value: ({ sink }) => sink.name }, report);
}

/** The same for a sink that is changed under the inventories that use it. */
export function sinkPaths(lookups: Lookups, namespace: string, name: string, spec: KnownSink['spec'], report: Report): void {
  const changed: KnownSink = { kind: 'KollectSnapshotSink', metadata: { name, namespace }, spec };
  const after = overlaid(lookups, { sink: (family, where, which) => (family === 'snapshot' && where === namespace && which === name ? changed : lookups.sink(family, where, which)) });
  const addresses: KnownAddresses = new Map();
  const place = snapshotPlace(changed, addresses)?.place;
  if (place === undefined) return;
  const all = [...writtenByOthers(after, undefined, addresses, new Set([place]))];
  const isOurs = ({ sink }: Written): boolean => sink.namespace === namespace && sink.name === name;
  const ours = all.filter(isOurs);
  const field = spec.layout?.pathTemplate !== undefined && ours.some(({ isTree }) => isTree) ? 'spec.layout.pathTemplate' : 'spec.pathTemplate';
  const at: Place = { field: () => field, value: ({ path }) => path };
  const clashes: Parameters<Report>[0][] = [];
  for (const [index, written] of ours.entries()) clash(written, ours.slice(index + 1), at, (finding) => clashes.push(finding));
  for (const written of all) if (!isOurs(written)) clash(written, ours, at, (finding) => clashes.push(finding));
  // One of them explains what to do; a sink of many inventories would have as many.
  const first = clashes.find(({ severity }) => severity === 'error') ?? clashes[0];
  if (first !== undefined) report(first);
}

/** Where a clash is reported, and what of it is quoted. */
interface Place {
  field: (ours: Written) => string;
  value: (ours: Written) => string;
}

function clash(other: Written, ours: readonly Written[], { field, value }: Place, report: Report): void {
  for (const written of ours) {
    if (!isSamePlace(other, written)) continue;
    const who = `${titled(other.inventory)}${other.inventory.metadata.namespace === undefined ? '' : ` in namespace ${JSON.stringify(other.inventory.metadata.namespace)}`}`;
    if (!written.isTree || isSameView(other.inventory, written.inventory)) {
      report(invalid(field(written), value(written), `${placeText(written)} is written by ${who} through the sink ${JSON.stringify(other.sink.name)} already; two inventories there would overwrite each other. Use another pathTemplate, branch or destination`));
    } else {
      report(warning(field(written), `${who} writes a tree of the same paths to ${written.place}: objects that both collect have one file for both; add {namespace} or {targetName} to layout.pathTemplate`));
    }
    return;
  }
}

/** All inventories of a namespace hold the same rows, those of all its targets. Of others nobody can tell beforehand. */
function isSameView(a: AnyInventory, b: AnyInventory): boolean {
  return a.kind === 'KollectInventory' && b.kind === 'KollectInventory' && a.metadata.namespace === b.metadata.namespace;
}

function isSamePlace(a: Written, b: Written): boolean {
  return a.path === b.path && a.place === b.place && a.isTree === b.isTree;
}

function placeText({ place, path }: Written): string {
  return `${path} at ${place}`;
}

function* writtenByOthers(lookups: Lookups, own: AnyInventory | undefined, addresses: KnownAddresses, places: ReadonlySet<string>): Generator<Written> {
  let left = maxInventories;
  for (const inventory of lookups.inventories()) {
    if (left-- === 0) return;
    if (own !== undefined && inventory.kind === own.kind && inventory.metadata.name === own.metadata.name && inventory.metadata.namespace === own.metadata.namespace) continue;
    if (inventory.spec.snapshotSinkRefs !== undefined) yield* writtenBy(lookups, inventory, addresses, places);
  }
}

/** @param places the only ones that count; all when unset. */
function* writtenBy(lookups: Lookups, inventory: AnyInventory, addresses: KnownAddresses, places?: ReadonlySet<string>): Generator<Written> {
  const { namespace: own = '', name } = inventory.metadata;
  const isCluster = inventory.kind === 'KollectClusterInventory';
  for (const { name: sinkName, namespace, nameField } of sinkReferences(inventory.spec as Loose<KollectInventorySpec>, ['snapshot'])) {
    const where = isCluster ? (namespace ?? sinkNamespaceOf(inventory.spec)) : own;
    const sink = lookups.sink('snapshot', where, sinkName);
    const place = sink && snapshotPlace(sink, addresses);
    if (sink === undefined || place === undefined || places?.has(place.place) === false) continue;
    // Cluster inventories call themselves so wherever an inventory names its namespace.
    yield { ...place, path: snapshotPath(sink, place, { namespace: isCluster ? 'cluster' : own, name }), inventory, sink: { namespace: where, name: sinkName }, nameField };
  }
}
