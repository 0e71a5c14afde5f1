import { createHash } from 'node:crypto';
import t from 'tap';
import type { ExportRow, InventoryIdentity, Sink, SinkChange } from '../../controller/sinks/contract.ts';
import { canonicalRow } from '../../shared/extract/canonical-json.ts';
import type { JsonObject } from '../../shared/extract/json.ts';
import type { LaidOutSpec } from '../../shared/layout/layout.ts';
import { Random } from '../faults/random.ts';
import { failure, signal } from './conformance.ts';

/** Files by their paths. */
export type Files = Record<string, string>;

/** Somewhere with files that no other test sees. */
export interface FilesPlace {
  open(spec?: Omit<LaidOutSpec, 'type'> & { cluster?: string }, options?: { installation?: string }): Promise<Sink>;
  files(): Promise<Files>;
  /** Somebody else writes a file. */
  put(path: string, text: string): Promise<void>;
}

export interface FilesConformance {
  name: string;
  /** Rows that are whole objects become a tree unless the sink says otherwise. */
  impliesTrees?: boolean;
  place(): Promise<FilesPlace>;
}

const identity = (name = 'api', cluster = ''): InventoryIdentity => ({ namespace: 'team-a', name, cluster, generation: 1 });

function row(name: string, attributes: JsonObject | null = {}, targetName = 'web', kind = 'Deployment', uid = `uid-${name}`): ExportRow {
  const payload = canonicalRow({ targetNamespace: 'team-a', targetName, namespace: 'shop', name, group: 'apps', version: 'v1', kind, uid, attributes });
  return { targetNamespace: 'team-a', targetName, namespace: 'shop', name, uid, payload, hash: createHash('sha256').update(payload).digest().toString('latin1') };
}

const object = (name: string, v = 1): ExportRow => row(name, { resource: { apiVersion: 'apps/v1', kind: 'Deployment', v } });

/** What the engine hands to a sink of documents: everything. */
function all(rows: readonly ExportRow[], parts: Partial<SinkChange> = {}): SinkChange {
  return { identity: identity(), upserts: [rows], upsertCount: rows.length, deletes: [], completeTargets: ['web', 'jobs'], knownTargets: ['web', 'jobs'], keep: [], after: { rows: rows.length, digest: 'd' }, ...parts };
}

const keyOf = ({ targetName, uid }: ExportRow) => ({ targetName, uid });
const since = (upserts: readonly ExportRow[], deletes: readonly ExportRow[] = []): Pick<SinkChange, 'since'> => ({ since: { upserts, deletes: deletes.map(keyOf) } });
const tree = { layout: { mode: 'perResource' } } as const;
const manifest = 'inventory/team-a/api.manifest.json';
const fileOf = (name: string) => `default/shop/deployment/${name}.yaml`;
/** But for when it was written. */
const timeless = (files: Files): Files => Object.fromEntries(Object.entries(files).map(([path, text]) => [path, text.replaceAll(/("?exportedAt"?: ?"?)[^",\n]+/g, '$1')]));
const pathsOf = (files: Files): string[] => Object.keys(files).sort();

/** What every sink with files must do, named by what a user would observe. */
export function filesConform({ name, impliesTrees = true, place }: FilesConformance): void {
  t.test(`${name}: a document holds all rows, and a pass that is repeated changes nothing`, async (t) => {
    const rows = [row('b', { v: 1 }), row('a', { v: 1 })];
    for (const [format, compression] of [['yaml', 'none'], ['json', 'none'], ['ndjson', 'gzip']] as const) {
      const { open, files } = await place();
      const sink = await open({ serialization: { format, compression } });
      t.match(await sink.write(all(rows), signal), { confirmed: 2, written: 2, rejected: [] });
      const first = await files();
      t.strictSame(pathsOf(first), [`inventory/team-a/api.${format}${compression === 'gzip' ? '.gz' : ''}`]);
      t.match(await sink.write(all(rows), signal), { confirmed: 2, written: 0, deleted: 0 });
      const restarted = await open({ serialization: { format, compression } });
      t.match(await restarted.write(all(rows.toReversed()), signal), { confirmed: 2, written: 0 });
      t.strictSame(await files(), first);
      t.equal((await restarted.check(identity(), signal)).rows, 2);
      t.match(await sink.write(all([...rows, row('c')], since([row('c')])), signal), { written: 3 });
      t.not(JSON.stringify(await files()), JSON.stringify(first));
      await Promise.all([sink.close(), restarted.close()]);
    }
  });

  t.test(`${name}: an emptied inventory is an empty document, or a tree without files`, async (t) => {
    const { open, files } = await place();
    const sink = await open();
    await sink.write(all([row('a')]), signal);
    await sink.write(all([], since([], [row('a')])), signal);
    t.strictSame(await files(), { 'inventory/team-a/api.yaml': '[]\n' });
    const other = await open(tree);
    const named = (rows: readonly ExportRow[], parts: Partial<SinkChange> = {}) => all(rows, { identity: identity('tree'), ...parts });
    await other.write(named([row('a')]), signal);
    t.match(await other.write(named([], since([], [row('a')])), signal), { deleted: 1 });
    t.strictSame(pathsOf(await files()), ['inventory/team-a/api.yaml', 'inventory/team-a/tree.manifest.json']);
    t.equal((await other.check(identity('tree'), signal)).rows, 0);
    await Promise.all([sink.close(), other.close()]);
  });

  t.test(`${name}: a tree has a file for each row, and a change writes the files that changed and no other`, async (t) => {
    const { open, files, put } = await place();
    const sink = await open(tree, { installation: 'ours' });
    const rows = ['a', 'b', 'c'].map((text) => row(text, { v: 1 }));
    await put('default/shop/deployment/foreign.yaml', 'theirs');
    t.match(await sink.write(all(rows), signal), { confirmed: 3, written: 3, deleted: 0 });
    const first = await files();
    t.strictSame(pathsOf(first), [fileOf('a'), fileOf('b'), fileOf('c'), fileOf('foreign'), manifest]);
    t.equal(first[fileOf('a')], 'attributes:\n  v: 1\ngroup: apps\nkind: Deployment\nname: a\nnamespace: shop\ntargetName: web\ntargetNamespace: team-a\nuid: uid-a\nversion: v1\n');
    t.match(JSON.parse(first[manifest]!), { kind: 'KollectExportSetManifest', schemaVersion: 'kollect.dev/v1alpha1', cluster: 'default', namespace: 'team-a', name: 'api', generation: 1, partTotal: 1, parts: [1], installation: 'ours', paths: [fileOf('a'), fileOf('b'), fileOf('c')] });
    const next = [row('a', { v: 2 }), rows[2]!, row('d')];
    t.match(await sink.write(all(next, since([next[0]!, next[2]!], [rows[1]!])), signal), { confirmed: 2, written: 2, deleted: 1 });
    const second = await files();
    t.strictSame(pathsOf(second), [fileOf('a'), fileOf('c'), fileOf('d'), fileOf('foreign'), manifest]);
    t.match(second[fileOf('a')], 'v: 2');
    const restarted = await open(tree, { installation: 'ours' });
    t.match(await restarted.write(all(next), signal), { confirmed: 3, written: 0, deleted: 0 });
    t.match(await restarted.write(all([next[0]!]), signal), { written: 0, deleted: 2 }, 'what is stale is found by the manifest');
    t.strictSame(pathsOf(await files()), [fileOf('a'), fileOf('foreign'), manifest]);
    await Promise.all([sink.close(), restarted.close()]);
  });

  t.test(`${name}: whatever happened, changes one by one end in the files of all rows`, async (t) => {
    for (const [seed, spec] of [[1, tree], [2, { layout: { mode: 'split', pathTemplate: '{targetName}/{sourceName}{extension}' } }], [5, {}], [6, { layout: { mode: 'perResource', pathTemplate: '{sourceName}{extension}', content: 'attributes' } }]] as const) {
      const random = new Random(seed);
      const [stepwise, atOnce] = [await place(), await place()];
      const sink = await stepwise.open(spec);
      const rows = new Map<string, ExportRow>();
      await sink.write(all([]), signal);
      for (let step = 0; step < 12; step++) {
        const upserts = Array.from({ length: random.below(4) }, () => row(`n${random.below(8)}`, { v: random.below(3) }, 'web', random.below(4) === 0 ? 'Pod' : 'Deployment'));
        const changed = new Map(upserts.map((entry) => [entry.uid, entry]));
        const gone = [...rows.values()].filter(({ uid }) => !changed.has(uid) && random.below(5) === 0);
        for (const [uid, entry] of changed) rows.set(uid, entry);
        for (const { uid } of gone) rows.delete(uid);
        await sink.write(all([...rows.values()], random.below(4) === 0 ? {} : since([...changed.values()], gone)), signal);
      }
      const other = await atOnce.open(spec);
      await other.write(all([...rows.values()]), signal);
      t.strictSame(timeless(await stepwise.files()), timeless(await atOnce.files()), JSON.stringify(spec));
      t.ok(rows.size > 0);
      await Promise.all([sink.close(), other.close()]);
    }
  });

  t.test(`${name}: removal takes the files of the inventory and no others`, async (t) => {
    const { open, files, put } = await place();
    const documents = await open({ pathTemplate: '{cluster}/{namespace}/{name}{extension}' });
    const trees = await open(tree, { installation: 'ours' });
    await put('default/shop/deployment/foreign.yaml', 'theirs');
    for (const inventory of ['api', 'other']) await documents.write(all([row('x')], { identity: identity(inventory) }), signal);
    await put('default/team-a/api.part-0001-of-0002.txt', 'theirs');
    await trees.write(all([row('a'), row('b')]), signal);
    await trees.write(all([row('c', {}, 'jobs', 'Job')], { identity: identity('other') }), signal);
    t.match(await documents.remove(identity(), true, signal), { deleted: 1 });
    t.match(await (await open(tree, { installation: 'theirs' })).remove(identity('api', 'west'), true, signal).catch(() => ({ deleted: 0 })), { deleted: 0 });
    t.match(await trees.remove(identity(), false, signal), { deleted: 2 });
    t.strictSame(pathsOf(await files()), ['default/shop/deployment/foreign.yaml', 'default/shop/job/c.yaml', 'default/team-a/api.part-0001-of-0002.txt', 'default/team-a/other.yaml', 'inventory/team-a/other.manifest.json']);
    t.match(await trees.remove(identity(), true, signal), { deleted: 0 }, 'also when there is nothing');
    t.match(await documents.remove(identity('other'), false, signal), { deleted: 0 }, 'what nobody is known to have written stays');
    await Promise.all([documents.close(), trees.close()]);
  });

  t.test(`${name}: trees of other installations, clusters and layouts are not touched`, async (t) => {
    const { open, files } = await place();
    const ours = await open(tree, { installation: 'ours' });
    await ours.write(all([row('a')]), signal);
    const before = await files();
    const theirs = await open(tree, { installation: 'theirs' });
    t.match(await failure(theirs.write(all([row('z')]), signal)), { code: 'KOL_SINK_OWNER', class: 'terminal' });
    const nobody = await open(tree);
    for (const spec of [tree, ...(impliesTrees ? [{}] : []), { layout: { mode: 'perResource', pathTemplate: 'elsewhere/{uid}{extension}' } } as const]) {
      const unknown = await open(spec);
      t.match(await failure(unknown.write(all([row('z')]), signal)), { code: 'KOL_SINK_OWNER', class: 'terminal', message: /Namespace kube-system/ }, 'nor is it known which installation that is');
      await unknown.close();
    }
    t.match(await failure(nobody.write(all([row('z')], { identity: identity('api', 'west') }), signal)), { code: 'KOL_SINK_OWNER', message: /\{cluster\}/ });
    t.strictSame(await files(), before);
    const renamed = await open({ ...tree, cluster: 'west' }, { installation: 'ours' });
    await renamed.write(all([row('b')], { identity: identity('api', 'west') }), signal);
    t.strictSame(pathsOf(await files()), [fileOf('a'), manifest, 'west/shop/deployment/b.yaml'].sort(), 'another name of the cluster removes nothing');
    const elsewhere = await open({ layout: { mode: 'perResource', pathTemplate: 'elsewhere/{uid}{extension}' } }, { installation: 'ours' });
    await elsewhere.write(all([row('b')]), signal);
    t.strictSame(pathsOf(await files()), [fileOf('a'), 'elsewhere/uid-b.yaml', manifest, 'west/shop/deployment/b.yaml'].sort(), 'nor do other paths');
    await Promise.all([ours, theirs, nobody, elsewhere, renamed].map((sink) => sink.close()));
  });

  t.test(`${name}: where too much would go nothing is done, until it is allowed`, async (t) => {
    for (const spec of [tree, {}]) {
      const { open, files } = await place();
      const sink = await open(spec);
      const rows = Array.from({ length: 20 }, (_, index) => row(`n${index}`));
      await sink.write(all(rows), signal);
      const before = await files();
      const few = [row('n0', { v: 2 })];
      const staleLimit = { rows: 10, exempt: [] };
      for (const at of [sink, await open(spec)]) t.match(await at.write(all(few, { staleLimit }), signal), { confirmed: 0, written: 0, deleted: 0, held: 19 });
      t.match(await sink.write(all(few, { staleLimit, ...since(few, rows.slice(1)) }), signal), { written: 0, held: 19 });
      const exchanged = [...rows.slice(0, 5), ...Array.from({ length: 15 }, (_, index) => row(`m${index}`))];
      for (const at of [sink, await open(spec)]) t.match(await at.write(all(exchanged, { staleLimit }), signal), { written: 0, held: 15 }, 'as many come as go');
      t.strictSame(await files(), before);
      const explained = { rows: 10, exempt: ['web'] };
      t.match(await sink.write(all(few, { staleLimit: explained, ...since(few, rows.slice(1)) }), signal), { written: 1, held: 0 }, 'or explained');
      await sink.write(all(rows), signal);
      t.match(await sink.write(all(few), signal), { written: 1, held: 0 });
      t.not(pathsOf(await files()).length, 0);
      await sink.close();
    }
  });

  t.test(`${name}: of rows with one path the first has the file, and the next gets it after that one`, async (t) => {
    const { open, files } = await place();
    const sink = await open({ layout: { mode: 'perResource', pathTemplate: '{sourceName}{extension}' } });
    const [first, second] = [row('a', { v: 1 }), row('a', { v: 2 }, 'web', 'Pod', 'uid-b')];
    t.match(await sink.write(all([second, first]), signal), { confirmed: 1, rejected: [{ key: { uid: 'uid-b' }, code: 'PathTaken' }] });
    t.match((await files())['a.yaml'], 'v: 1');
    const quarantined = { keep: [keyOf(second)] };
    t.match(await sink.write(all([first, row('c')], { ...since([row('c')]), ...quarantined }), signal), { written: 1, rejected: [] });
    const lost = { code: 'KOL_SINK_DESTINATION_LOST', class: 'transient' };
    t.match(await failure(sink.write(all([row('c')], { ...since([], [first]), ...quarantined }), signal)), lost);
    t.match(await sink.write(all([second, row('c')]), signal), { rejected: [] });
    t.match((await files())['a.yaml'], 'v: 2');
    t.match(await sink.write(all([first, second, row('c')]), signal), { rejected: [{ code: 'PathTaken' }] });
    await sink.write(all([first, row('c')], quarantined), signal);
    t.match(await failure(sink.write(all([row('c')], quarantined), signal)), lost, 'also if it was refused some passes ago');
    await sink.write(all([second, row('c')]), signal);
    t.match((await files())['a.yaml'], 'v: 2');
    t.match(await sink.write(all([row('..', {}, 'web', 'Pod', 'x'), second, row('c')]), signal), { rejected: [{ key: { uid: 'x' }, code: 'NoPath' }] });
    await sink.close();
  });

  t.test(`${name}: what a row had that is not handed over stays`, async (t) => {
    const { open, files } = await place();
    const sink = await open(tree);
    const rows = ['a', 'b', 'c'].map((text) => row(text));
    await sink.write(all(rows), signal);
    await sink.write(all([rows[0]!], { keep: [keyOf(rows[1]!)] }), signal);
    t.strictSame(pathsOf(await files()), [fileOf('a'), fileOf('b'), manifest]);
    const restarted = await open(tree);
    await restarted.write(all([rows[0]!], { keep: [keyOf(rows[2]!)] }), signal);
    t.strictSame(pathsOf(await files()), [fileOf('a'), fileOf('b'), manifest], 'nobody knows whose file it is');
    await restarted.write(all([rows[0]!]), signal);
    t.strictSame(pathsOf(await files()), [fileOf('a'), manifest], 'it is still ours');
    await restarted.write(all([], { spared: [{ targetName: 'web', group: 'apps', kind: 'deployment' }] }), signal);
    t.strictSame(pathsOf(await files()), [fileOf('a'), manifest]);
    await Promise.all([sink.close(), restarted.close()]);
  });

  t.test(`${name}: rows that are whole objects become a tree of manifests unless the sink says otherwise`, { skip: impliesTrees ? false : 'documents unless the sink says otherwise' }, async (t) => {
    const { open, files } = await place();
    const sink = await open();
    await sink.write(all([object('a'), object('b')]), signal);
    const first = await files();
    t.strictSame(pathsOf(first), [fileOf('a'), fileOf('b'), manifest]);
    t.equal(first[fileOf('a')], 'apiVersion: apps/v1\nkind: Deployment\nv: 1\n');
    t.match(await sink.write(all([object('a', 2), object('b')], since([object('a', 2)])), signal), { written: 1 });
    await sink.write(all([object('a', 2), row('b')], since([row('b')])), signal);
    t.strictSame(pathsOf(await files()), ['inventory/team-a/api.yaml'], 'one row that is none, and all are in a document');
    await sink.write(all([object('a', 2)], since([], [row('b')])), signal);
    t.strictSame(pathsOf(await files()), [fileOf('a'), manifest]);
    const asked = await open({ layout: { mode: 'perResource', content: 'manifest' } });
    t.match(await asked.write(all([object('a'), row('b'), row('c', null)], { identity: identity('asked') }), signal), { confirmed: 1, rejected: [{ code: 'NoManifest' }, { code: 'NoManifest' }] });
    await Promise.all([sink.close(), asked.close()]);
  });

  t.test(`${name}: split writes an index beside the files`, async (t) => {
    const { open, files } = await place();
    const sink = await open({ layout: { mode: 'split', content: 'attributes' }, cluster: 'west', serialization: { format: 'json' } });
    const of = { identity: identity('api', 'west') };
    await sink.write(all([row('b', { v: 1 }), row('a', null)], of), signal);
    const first = await files();
    t.strictSame(pathsOf(first), [manifest, 'inventory/team-a/api.json', 'west/shop/deployment/a.json', 'west/shop/deployment/b.json'].sort());
    t.strictSame([first['west/shop/deployment/a.json'], first['west/shop/deployment/b.json']], ['{}\n', '{\n  "v": 1\n}\n']);
    const index = JSON.parse(first['inventory/team-a/api.json']!) as Record<string, unknown>;
    t.match(index, { schemaVersion: 'kollect.dev/v1alpha1', itemCount: 2, checksum: 'd', exportedAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, cluster: 'west', paths: ['west/shop/deployment/a.json', 'west/shop/deployment/b.json'] });
    const next = all([row('b', { v: 1 }), row('0', { v: 1 })], { ...of, ...since([row('0', { v: 1 })], [row('a')]), after: { rows: 2, digest: 'e' } });
    t.match(await sink.write(next, signal), { confirmed: 1, written: 1, deleted: 1 });
    t.match(JSON.parse((await files())['inventory/team-a/api.json']!), { checksum: 'e', paths: ['west/shop/deployment/0.json', 'west/shop/deployment/b.json'] });
    await sink.close();
  });

  t.test(`${name}: documents that would be too large are written in parts, as long as they are`, async (t) => {
    const { open, files } = await place();
    const sink = await open({ serialization: { format: 'json' } });
    const rows = ['a', 'b', 'c'].map((text) => row(text, { text: text.repeat(300) }));
    const result = await sink.write(all([...rows, row('d', { text: 'x'.repeat(2_000) })], { maxDocumentBytes: 1_300 }), signal);
    t.match(result, { confirmed: 3, rejected: [{ key: { uid: 'uid-d' }, code: 'PayloadTooLarge' }] });
    const parts = await files();
    t.strictSame(pathsOf(parts), ['inventory/team-a/api.part-0001-of-0002.json', 'inventory/team-a/api.part-0002-of-0002.json']);
    const envelopes = pathsOf(parts).map((path) => JSON.parse(parts[path]!) as { partIndex: number; partTotal: number; itemCount: number; items: unknown[] });
    t.match(envelopes, [{ partIndex: 1, partTotal: 2, itemCount: 2 }, { partIndex: 2, partTotal: 2, itemCount: 1 }]);
    for (const text of Object.values(parts)) t.ok(text.length <= 1_300);
    t.equal((await sink.check(identity(), signal)).rows, 3);
    t.match(await sink.write(all(rows, { maxDocumentBytes: 1_300 }), signal), { written: 0 });
    await sink.write(all(rows.slice(0, 1), { maxDocumentBytes: 1_300 }), signal);
    const whole = await files();
    t.strictSame(pathsOf(whole), ['inventory/team-a/api.json']);
    t.notMatch(whole['inventory/team-a/api.json'], 'partIndex');
    await sink.close();
  });

  t.test(`${name}: a pass that is cut is made good by the next one`, async (t) => {
    for (const spec of [tree, {}]) {
      const { open, files } = await place();
      const [sink, other] = [await open(spec), await place()];
      await sink.write(all([row('a'), row('b')]), signal);
      t.match(await failure(sink.write(all([row('c')], since([row('c')], [row('a'), row('b')])), AbortSignal.abort())), { code: 'KOL_SINK_UNAVAILABLE' });
      await sink.write(all([row('c')], since([row('c')], [row('a'), row('b')])), signal);
      await (await other.open(spec)).write(all([row('c')]), signal);
      t.strictSame(timeless(await files()), timeless(await other.files()));
      await sink.close();
    }
  });

  t.test(`${name}: a probe and an empty change write nothing`, async (t) => {
    const { open, files } = await place();
    const sink = await open();
    t.ok((await sink.probe(signal)).message);
    t.match(await sink.write({ identity: identity(), upserts: [], upsertCount: 0, deletes: [], completeTargets: [], keep: [] }, signal), { confirmed: 0, written: 0 });
    t.strictSame(await files(), {});
    await sink.close();
  });
}
