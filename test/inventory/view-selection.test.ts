import t from 'tap';
import { RowStore } from '../../controller/collect/row-store.ts';
import { ClusterRows } from '../../controller/inventory/cluster-rows.ts';
import type { KollectClusterInventorySpec } from '../../shared/api/kollect-cluster-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { atOnce } from './paces.ts';

// Which rows of which cluster targets a KollectClusterInventory has.

const teams: Record<string, Record<string, string>> = { 'team-a': { tenant: 'platform' }, 'team-b': { tenant: 'platform' }, 'team-c': {} };

/** Two targets with one row in each namespace, and one of an object without a namespace. */
function setUp(spec: Partial<KollectClusterInventorySpec>) {
  const store = new RowStore();
  const objects = new Map<string, KubeObject>();
  const namespaces = new Map(Object.entries(teams).map(([name, labels]) => [`/${name}`, { name, labels, annotations: undefined }]));
  let changes = 0;
  const rows = new ClusterRows({ targets: objects, namespaces, store, isListed: () => true, pace: atOnce }, () => void changes++);
  store.subscribe({ row: (...change) => rows.row(...change), opened: (target) => rows.opened(target), closed: (target) => rows.closed(target) });
  const target = (name: string, labels: Record<string, string>, ready = 'Collecting') => {
    const status = { conditions: [{ type: 'Ready', status: ready === 'Collecting' ? 'True' : 'False', reason: ready }] };
    objects.set(`/${name}`, { apiVersion: '', kind: 'KollectClusterTarget', metadata: { name, labels }, status } as unknown as KubeObject);
    const opened = store.open('', name);
    for (const namespace of ['', ...Object.keys(teams)]) {
      opened.resource('/v1/any').upsert({ namespace, name: 'x', uid: `${name} ${namespace}`, payload: name, resourceVersion: '1', failures: 0 });
    }
    rows.targetChanged(name);
  };
  const select = (edited: Partial<KollectClusterInventorySpec>) => rows.select({ spec: edited } as unknown as KubeObject);
  select(spec);
  target('apps', { roll: 'up' });
  target('base', {});
  const names = () => [...rows.view.targets].map(({ name }) => name).sort();
  const places = () => [...rows.view.targets].flatMap((member) => member.pieces().flat()).filter(({ targetName }) => targetName === 'apps').map(({ namespace }) => namespace).sort();
  return { store, objects, namespaces, rows, target, select, names, places, changed: () => changes };
}

t.test('targets: by name, else by label, else all', async (t) => {
  t.strictSame(setUp({}).names(), ['apps', 'base']);
  t.strictSame(setUp({ targetSelector: {} }).names(), ['apps', 'base']);
  t.strictSame(setUp({ targetSelector: { matchLabels: { roll: 'up' } } }).names(), ['apps']);
  t.strictSame(setUp({ targetRefs: ['base', 'absent'], targetSelector: { matchLabels: { roll: 'up' } } }).names(), ['base'], 'the selector does not count beside names');

  const { target, store, select, names, changed } = setUp({ targetSelector: { matchLabels: { roll: 'up' } } });
  const before = changed();
  target('base', { roll: 'up' });
  t.strictSame(names(), ['apps', 'base'], 'a label that was added');
  t.ok(changed() > before);
  target('apps', {});
  t.strictSame(names(), ['base'], 'a label that was taken off');
  select({ targetRefs: ['apps'] });
  t.strictSame(names(), ['apps']);
  store.close('', 'apps');
  t.strictSame(names(), []);
});

t.test('namespaces: those that are named, and those that are selected, or both at once', async (t) => {
  const everything = ['', 'team-a', 'team-b', 'team-c'];
  t.strictSame(setUp({}).places(), everything, 'what has no namespace belongs to what is bounded by none');
  t.strictSame(setUp({ namespaceSelector: {} }).places(), everything);
  t.strictSame(setUp({ namespaces: [] }).places(), everything);
  t.strictSame(setUp({ namespaces: ['team-a', 'team-c'] }).places(), ['team-a', 'team-c']);
  const namespaceSelector = { matchLabels: { tenant: 'platform' } };
  t.strictSame(setUp({ namespaceSelector }).places(), ['team-a', 'team-b']);
  t.strictSame(setUp({ namespaceSelector, namespaces: ['team-a', 'team-c'] }).places(), ['team-a']);
  t.strictSame(setUp({ namespaceSelector: { matchExpressions: [{ key: 'tenant', operator: 'DoesNotExist' }] } }).places(), ['team-c'], 'a namespace that is not known is not selected');

  const { namespaces, rows, places, select } = setUp({ namespaceSelector });
  namespaces.set('/team-c', { name: 'team-c', labels: { tenant: 'platform' }, annotations: undefined });
  rows.namespaceChanged('team-c');
  t.strictSame(places(), ['team-a', 'team-b', 'team-c']);
  namespaces.delete('/team-a');
  rows.namespaceChanged('team-a');
  t.strictSame(places(), ['team-b', 'team-c']);
  select({ namespaces: ['team-b'], namespaceSelector });
  t.strictSame(places(), ['team-b']);
});

t.test('targets that are not ready are told with their reason, and those that only wait for their list are not', async (t) => {
  const { rows, target } = setUp({ targetRefs: ['base', 'absent', 'apps'] });
  t.strictSame(rows.problems(), [{ name: 'absent', reason: 'NotFound' }]);
  target('apps', {}, 'AwaitingSync');
  target('base', {}, 'ProfileNotFound');
  t.strictSame(rows.problems(), [{ name: 'absent', reason: 'NotFound' }, { name: 'base', reason: 'ProfileNotFound' }]);
});
