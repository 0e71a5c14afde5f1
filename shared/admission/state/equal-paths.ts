import { redact } from '../credentials.ts';
import { invalid, warning } from '../finding.ts';
import type { Finding, Report } from '../finding.ts';
import type { KnownSink, Lookups } from '../lookups.ts';
import { titled } from './known-scope.ts';
import { pathKeys, snapshotUses, writtenPaths } from './written-paths.ts';
import type { AnyInventory, SinkUse, WrittenPath } from './written-paths.ts';

/** Two inventories at one path would overwrite each other in turn. The inventory that is judged must not join another one there. */
export function inventoryPaths(lookups: Lookups, inventory: AnyInventory, report: Report): void {
  const isOwn = (other: SinkUse): boolean => isSameObject(other.inventory, inventory);
  const taken = new Map<string, SinkUse>();
  for (const use of snapshotUses(inventory)) {
    const sink = lookups.sink('snapshot', use.sink.namespace, use.sink.name);
    const written = sink && writtenPaths(sink)?.(inventory);
    if (written === undefined) continue;
    const keys = pathKeys(inventory, written);
    const earlier = keys.map((key) => taken.get(key)).find((other) => other !== undefined);
    if (earlier !== undefined) {
      report(invalid(use.nameField, use.sink.name, `would write to ${placeText(written)}, as ${earlier.nameField} does already; give one of the sinks another pathTemplate, or remove the reference`));
      continue;
    }
    for (const key of keys) taken.set(key, use);
    const other = firstOther(keys, (key) => lookups.writers(key), isOwn);
    if (other !== undefined) report(clash({ field: use.nameField, value: use.sink.name, written }, keys, other));
  }
}

/** Inventories of a sink that are compared when it changes; it refuses a clash of further ones when it writes. */
const maxUsers = 2_000;

/** The same for a sink that is changed under the inventories that use it. One of them explains what to do; a sink of many inventories would have as many. */
export function sinkPaths(lookups: Lookups, namespace: string, name: string, spec: KnownSink['spec'], report: Report): void {
  const sink: KnownSink = { kind: 'KollectSnapshotSink', metadata: { name, namespace }, spec };
  const isThis = (other: SinkUse): boolean => other.sink.namespace === namespace && other.sink.name === name;
  const ours = new Map<string, SinkUse>();
  // A path that many share is looked at once.
  const known = new Map<string, SinkUse | undefined>();
  const others = (key: string): Iterable<SinkUse> => {
    if (!known.has(key)) known.set(key, first(lookups.writers(key), (other) => !isThis(other)));
    const other = known.get(key);
    return [ours.get(key), other].filter((use) => use !== undefined);
  };
  const pathOf = writtenPaths(sink);
  // All of them write to the same place, or none does to any that could overlap.
  if (pathOf === undefined) return;
  let advice: Finding | undefined;
  for (const use of Iterator.from(lookups.users({ namespace, name })).take(maxUsers)) {
    const written = pathOf(use.inventory);
    const keys = pathKeys(use.inventory, written);
    const other = firstOther(keys, others, () => false);
    for (const key of keys) if (!ours.has(key)) ours.set(key, use);
    if (other === undefined) continue;
    const field = spec.layout?.pathTemplate !== undefined && written.isTree ? 'spec.layout.pathTemplate' : 'spec.pathTemplate';
    const finding = clash({ field, value: written.path, written }, keys, other);
    if (finding.severity === 'error') return report(finding);
    advice ??= finding;
  }
  if (advice !== undefined) report(advice);
}

interface Other {
  use: SinkUse;
  /** What it has in common. */
  key: string;
}

/** Somebody else at the strictest of several keys. */
function firstOther(keys: readonly string[], writers: (key: string) => Iterable<SinkUse>, isOwn: (use: SinkUse) => boolean): Other | undefined {
  for (const key of keys) {
    const use = first(writers(key), (other) => !isOwn(other));
    if (use !== undefined) return { use, key };
  }
  return undefined;
}

function first<T>(items: Iterable<T>, is: (item: T) => boolean): T | undefined {
  for (const item of items) if (is(item)) return item;
  return undefined;
}

/** @param ours where a clash is reported, and what of it is quoted */
function clash(ours: { field: string; value: string; written: WrittenPath }, keys: readonly string[], { use: { inventory, sink }, key }: Other): Finding {
  const { field, value, written } = ours;
  const { namespace } = inventory.metadata;
  const who = `${titled(inventory)}${namespace === undefined ? '' : ` in namespace ${JSON.stringify(namespace)}`}`;
  if (written.isTree && key === keys.at(-1)) {
    return warning(field, `${who} writes a tree of the same paths to ${shown(written.place)}: objects that both collect have one file for both; add {namespace} or {targetName} to layout.pathTemplate`);
  }
  return invalid(field, value, `${placeText(written)} is written by ${who} through the sink ${JSON.stringify(sink.name)} already; two inventories there would overwrite each other. Use another pathTemplate, branch or destination`);
}

function isSameObject(a: AnyInventory, b: AnyInventory): boolean {
  return a.kind === b.kind && a.metadata.name === b.metadata.name && a.metadata.namespace === b.metadata.namespace;
}

function placeText({ place, path }: WrittenPath): string {
  const text = redact(path);
  return `${text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…` : text} at ${shown(place)}`;
}

/** A longer path says no more, and denials go to audit logs. */
const maxShownLength = 160;

/** A place as messages may show it: whatever stands before an "@" may be somebody's password. */
function shown(place: string): string {
  return redact(place).replace(/^([a-z0-9]+:\/\/)?.*@/, '$1***@');
}
