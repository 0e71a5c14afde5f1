import fc from 'fast-check';
import t from 'tap';
import { applyDefaults, mutate } from '../../shared/admission/mutate.ts';
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
