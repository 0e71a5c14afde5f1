import type { ExportRow, InventoryIdentity, Sink } from '../../controller/sinks/contract.ts';

/** Gives a sink of documents what the engine gives one: all rows of an inventory, whatever changed. */
export function documentSink(sink: Sink): Sink {
  /** What was confirmed, by inventory. */
  const confirmed = new Map<string, ReadonlyMap<string, ExportRow>>();
  return {
    probe: (signal) => sink.probe(signal),
    check: (identity, signal, counts) => sink.check(identity, signal, counts),
    close: () => sink.close(),
    write: async (change, signal) => {
      const { identity, completeTargets, knownTargets, deletes } = change;
      const upserts = [...change.upserts].flat();
      if (upserts.length + deletes.length + completeTargets.length === 0 && knownTargets === undefined) return await sink.write({ ...change, upserts: [] }, signal);
      const before = confirmed.get(nameOf(identity)) ?? new Map<string, ExportRow>();
      const [gone, named] = [new Set(deletes.map(keyOf)), new Set([...upserts, ...change.keep].map(keyOf))];
      const stays = ([key, { targetName }]: [string, ExportRow]): boolean => !gone.has(key) && knownTargets?.includes(targetName) !== false && (!completeTargets.includes(targetName) || named.has(key));
      const after = new Map([...[...before].filter(stays), ...upserts.map((row): [string, ExportRow] => [keyOf(row), row])]);
      const isDelta = confirmed.has(nameOf(identity)) && completeTargets.length === 0 && knownTargets === undefined;
      const since = { upserts, deletes: deletes.filter((key) => before.has(keyOf(key))) };
      const targets = [...new Set([...after.values()].map(({ targetName }) => targetName))];
      const whole = { ...change, upserts: [[...after.values()]], upsertCount: after.size, deletes: [], completeTargets: targets, knownTargets: targets, keep: [], ...(isDelta ? { since } : {}) };
      const result = await sink.write(whole, signal);
      const refused = new Set(result.rejected.map(({ key }) => keyOf(key)));
      if (!result.held) confirmed.set(nameOf(identity), new Map([...after].filter(([key]) => !refused.has(key))));
      return result;
    },
    remove: async (identity, isOwn, signal) => {
      const result = await sink.remove(identity, isOwn, signal);
      confirmed.delete(nameOf(identity));
      return result;
    },
  };
}

function keyOf({ targetName, uid }: Pick<ExportRow, 'targetName' | 'uid'>): string {
  return `${targetName}/${uid}`;
}

function nameOf({ namespace, name, cluster }: InventoryIdentity): string {
  return JSON.stringify([namespace, name, cluster]);
}
