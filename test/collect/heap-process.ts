// Collects objects from pages as they come from an API server, deletes nearly all of them again, and prints how much of the heap lives. Run with --expose-gc and
// the number of objects.
import { RowStore } from '../../controller/collect/row-store.ts';
import { Subscription } from '../../controller/collect/subscription.ts';
import { InventoryView } from '../../controller/inventory/view.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';

const objects = Number(process.argv[2]);
const pageSize = 500;
/** Of so many objects one stays. */
const stays = 20;

const attributes = [
  { name: 'image', path: '$.spec.template.spec.containers[0].image' },
  { name: 'images', path: '$.spec.template.spec.containers[*].image' },
  { name: 'short', path: 'cel:object.metadata.annotations.note.split(" ")[0] + "/" + object.metadata.name.substring(0, 12)' },
  { name: 'labels', path: '$.metadata.labels' },
];
const profile = compileProfile({ spec: { targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' }, attributes } });

function deployment(index: number): KubeObject {
  const name = `deployment-${index}`;
  const metadata = { namespace: `team-${index % 50}`, name, uid: `7d1c0a3e-0000-4000-8000-${String(index).padStart(12, '0')}`, resourceVersion: String(index), labels: { app: name }, annotations: { note: `${name} ${'x'.repeat(800)}` } };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { template: { spec: { containers: [{ name: 'main', image: `registry.example.org/${name}:1.0` }] } } } } as KubeObject;
}

function* pages(): Generator<KubeObject[]> {
  for (let start = 0; start < objects; start += pageSize) {
    const page = JSON.stringify(Array.from({ length: pageSize }, (_, index) => deployment(start + index)));
    yield JSON.parse(page) as KubeObject[];
  }
}

function liveBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
}

const store = new RowStore();
const view = new InventoryView('shop', () => undefined);
store.subscribe({ row: (target, before, after) => view.rowChanged(target, before, after), opened: (target) => view.addTarget(target), closed: (target) => view.removeTarget(target) });
const rows = store.open('shop', 'web');
const subscription = new Subscription({ rows: rows.resource('apps/v1/Deployment'), spec: { watchMode: 'All' }, profile, resource: { group: 'apps', plural: 'deployments', namespaced: false }, namespaces: () => undefined });

const empty = liveBytes();
for (const page of pages()) for (const object of page) subscription.apply(object);
const full = liveBytes() - empty;
const collected = rows.count;
let index = 0;
for (const page of pages()) for (const object of page) if (index++ % stays !== 0) subscription.remove(object);
const left = liveBytes() - empty;
console.log(JSON.stringify({ collected, kept: rows.count, bytesOfRow: full / collected, share: left / full, view: view.count }));
