import fc from 'fast-check';
import t from 'tap';
import { applyDefaults, mutate } from '../../shared/admission/mutate.ts';
import { objectLookups } from '../../shared/admission/state/object-lookups.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { objectOf, postgresSpec } from './objects.ts';

t.test('string references become objects, and only they', async (t) => {
  const inventory = objectOf('KollectInventory', { exportMinInterval: '1m', databaseSinkRefs: ['a', { name: 'b', exportMinInterval: '1h' }, 'c'], eventSinkRefs: ['d'] });
  t.same(mutate('KollectInventory', inventory), [
    { op: 'replace', path: '/spec/databaseSinkRefs/0', value: { name: 'a' } },
    { op: 'replace', path: '/spec/databaseSinkRefs/2', value: { name: 'c' } },
    { op: 'replace', path: '/spec/eventSinkRefs/0', value: { name: 'd' } },
  ]);
  t.same(applyDefaults('KollectInventory', inventory).spec, { exportMinInterval: '1m', databaseSinkRefs: [{ name: 'a' }, { name: 'b', exportMinInterval: '1h' }, { name: 'c' }], eventSinkRefs: [{ name: 'd' }] });
  t.same((inventory.spec as { databaseSinkRefs: unknown[] }).databaseSinkRefs[0], 'a', 'the argument stays as it was');
});

t.test('what is left out is filled in', async (t) => {
  t.same(mutate('KollectInventory', objectOf('KollectInventory', {})), [{ op: 'add', path: '/spec/exportMinInterval', value: '30s' }]);
  t.same(mutate('KollectClusterInventory', objectOf('KollectClusterInventory', { exportMinInterval: null })), [{ op: 'add', path: '/spec/exportMinInterval', value: '30s' }]);
  t.same(mutate('KollectInventory', objectOf('KollectInventory', { exportMinInterval: '0s' })), []);
  t.same(mutate('KollectDatabaseSink', objectOf('KollectDatabaseSink', postgresSpec({ connectionTest: undefined }))), [{ op: 'add', path: '/spec/connectionTest', value: true }]);
  t.same(mutate('KollectDatabaseSink', objectOf('KollectDatabaseSink', postgresSpec({ connectionTest: false }))), []);
  t.same(mutate('KollectEventSink', objectOf('KollectEventSink', { connectionTest: true })), []);
  t.same(applyDefaults('KollectSnapshotSink', objectOf('KollectSnapshotSink', { type: 'git' })).spec, { type: 'git', connectionTest: true, git: {} });
  t.same(applyDefaults('KollectSnapshotSink', objectOf('KollectSnapshotSink', { type: 's3' })).spec, { type: 's3', connectionTest: true });
});

t.test('an interval that is left out keeps the floor of the scope', async (t) => {
  const scope = (minExportInterval: string, namespace = 'team-a', kind = 'KollectScope') => objectOf(kind, { minExportInterval }, { name: 'scope', ...(kind === 'KollectScope' ? { namespace } : {}) }) as KubeObject;
  const filled = (kind: string, spec: unknown, ...cluster: KubeObject[]) => mutate(kind, objectOf(kind, spec), { lookups: objectLookups(cluster) }).map(({ value }) => value);
  t.same(filled('KollectInventory', {}, scope('1m')), ['1m']);
  t.same(filled('KollectInventory', {}, scope('30s')), ['30s']);
  t.same(filled('KollectInventory', {}, scope('1s')), ['30s']);
  t.same(filled('KollectInventory', {}, scope('nonsense')), ['30s']);
  t.same(filled('KollectInventory', {}, scope('25h')), ['30s'], 'a floor that no interval could keep is none');
  t.same(filled('KollectInventory', {}, scope('1h', 'team-b')), ['30s']);
  t.same(filled('KollectInventory', { exportMinInterval: '1s' }, scope('1m')), [], 'what is written stays, for validation to judge');
  t.same(filled('KollectClusterInventory', {}, scope('1m', 'kollect-system'), scope('2m', '', 'KollectClusterScope')), ['2m']);
  t.same(filled('KollectClusterInventory', { sinkNamespace: 'team-a' }, scope('1h'), scope('1m', 'kollect-system')), ['1h']);
  t.same(filled('KollectClusterInventory', { sinkNamespace: 7 }, scope('1m', 'kollect-system')), ['1m']);
  const hostile = JSON.parse('{"metadata":{"namespace":"__proto__"},"spec":{"__proto__":{"exportMinInterval":"1s"},"constructor":{}}}') as unknown;
  t.same(mutate('KollectInventory', hostile, { lookups: objectLookups([scope('1m')]) }), [{ op: 'add', path: '/spec/exportMinInterval', value: '30s' }], 'names of prototypes are names');
  const once = applyDefaults('KollectInventory', objectOf('KollectInventory', { databaseSinkRefs: ['a'] }), { lookups: objectLookups([scope('1m')]) });
  t.same(mutate('KollectInventory', once, { lookups: objectLookups([scope('2m')]) }), [], 'once filled in it stays');
});

t.test('other kinds and malformed objects are left alone', async (t) => {
  t.same(mutate('KollectProfile', objectOf('KollectProfile', {})), []);
  for (const object of [null, undefined, 'x', 7, [], {}, { spec: null }, { spec: [] }, { spec: 'x' }]) t.same(mutate('KollectInventory', object), []);
  t.same(mutate('KollectInventory', { spec: { exportMinInterval: '1s', databaseSinkRefs: { 0: 'a' }, eventSinkRefs: 'x' } }), []);
});

t.test('defaults applied twice are defaults applied once, and big integers pass', async (t) => {
  const kinds = ['KollectInventory', 'KollectClusterInventory', 'KollectSnapshotSink', 'KollectDatabaseSink', 'KollectEventSink', 'KollectProfile'];
  const spec = fc.dictionary(fc.constantFrom('snapshotSinkRefs', 'databaseSinkRefs', 'exportMinInterval', 'connectionTest', 'git', 'type', '__proto__', 'other'), fc.oneof(fc.jsonValue(), fc.array(fc.oneof(fc.string(), fc.jsonValue())), fc.constant('git'), fc.bigInt()));
  fc.assert(
    fc.property(fc.constantFrom(...kinds), spec, (kind, value) => {
      const once = applyDefaults(kind, { spec: value });
      return mutate(kind, once).length === 0;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
