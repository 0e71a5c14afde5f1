import { allowFullResourceExport } from '../../shared/api/annotations.ts';
import type { KollectClusterInventory } from '../../shared/api/kollect-cluster-inventory.ts';
import type { KollectProfile } from '../../shared/api/kollect-profile.ts';
import type { KollectTargetSpec } from '../../shared/api/kollect-target.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { canonicalRow } from '../../shared/extract/canonical-json.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { kollectObject } from '../behaviour/collecting.ts';
import { mapPath } from './cluster-writer.ts';
import { gatewayPath } from './gateways.ts';

/** Where the objects of Kollect are. */
export const api = '/apis/kollect.dev/v1alpha1/namespaces/home';
const clusterApi = '/apis/kollect.dev/v1alpha1';
/** The rollup of the whole cluster. */
export const rollupPath = `${clusterApi}/kollectclusterinventories/rollup`;
/** The inventories: `<namespace>/<name>` in sinks, and path. */
export const inventories = { 'home/inventory': `${api}/kollectinventories/inventory`, 'home/second': `${api}/kollectinventories/second`, 'cluster/rollup': rollupPath } as const;
/** ServiceAccount of the controller. */
export const account = { namespace: 'home', name: 'controller' };
/** Where objects change. */
export const written = ['n0', 'n1', 'n2', 'n3'];
/** Nobody touches what is in here. */
export const untouched = 'still';
export const untouchedObjects = 120;

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const attributes = [{ name: 'value', path: '$.data.value' }];

/** Profile and spec of each target. */
export const homeTargets: Readonly<Record<string, object>> = {
  all: { profileRef: 'maps', namespaceSelector: { matchLabels: { collected: 'yes' } } },
  labelled: { profileRef: 'maps', namespaceSelector: { matchLabels: { team: 'shop' } }, labelSelector: { matchLabels: { test: 'yes' } } },
  gateways: { profileRef: 'gateways', namespaceSelector: { matchLabels: { collected: 'yes' } } },
};

export async function createInHome(admin: KubeClient, plural: string, kind: string, name: string, spec: object): Promise<void> {
  await admin.create(`${api}/${plural}`, kollectObject(kind, 'home', name, spec));
}

/** Namespaces, the rights of the controller, objects that stay as they are, profiles and targets. Sinks and inventories are for the test to make. */
export async function prepareHome(admin: KubeClient): Promise<void> {
  for (const name of ['home', untouched, ...written]) {
    const labels = name === 'home' ? {} : { collected: 'yes', team: 'shop' };
    await admin.create('/api/v1/namespaces', { metadata: { name, labels } });
  }
  await admin.create('/api/v1/namespaces/home/serviceaccounts', { metadata: { name: account.name } });
  const read = ['get', 'list', 'watch'];
  const roles: Record<string, object[]> = {
    own: [
      { apiGroups: ['kollect.dev'], resources: ['*'], verbs: ['*'] },
      { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
      { apiGroups: [''], resources: ['namespaces', 'secrets'], verbs: read },
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
      { apiGroups: ['apiextensions.k8s.io'], resources: ['customresourcedefinitions'], verbs: read },
    ],
    collected: [{ apiGroups: ['', 'shop.example'], resources: ['configmaps', 'gateways'], verbs: read }],
  };
  for (const [name, rules] of Object.entries(roles)) await admin.create(`${rbac}/clusterroles`, { metadata: { name }, rules });
  const bind = (path: string, role: string): Promise<unknown> =>
    admin.create(path, { metadata: { name: `${role}-always` }, subjects: [{ kind: 'ServiceAccount', ...account }], roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role } });
  await bind(`${rbac}/clusterrolebindings`, 'own');
  // Where single namespaces may be watched, they are, while the whole cluster may not.
  for (const namespace of [untouched, 'n0']) await bind(`${rbac}/namespaces/${namespace}/rolebindings`, 'collected');
  for (let index = 0; index < untouchedObjects; index++) {
    await admin.create(mapPath(untouched), { metadata: { name: `u${index}`, labels: { test: 'yes' } }, data: { value: `${index} grün € 😀` } });
  }
  await createInHome(admin, 'kollectprofiles', 'KollectProfile', 'maps', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes });
  await createInHome(admin, 'kollectprofiles', 'KollectProfile', 'gateways', { targetGVK: { group: 'shop.example', version: 'v1', kind: 'Gateway' }, attributes });
  for (const [name, spec] of Object.entries(homeTargets)) await createInHome(admin, 'kollecttargets', 'KollectTarget', name, spec);
}

/** Collects whole Secrets, of which there is one that holds `canary`: nobody may ever see that. */
export async function collectSecrets(admin: KubeClient, canary: string): Promise<void> {
  await admin.create(`/api/v1/namespaces/${untouched}/secrets`, { metadata: { name: 'login' }, stringData: { password: canary, note: `one more ${canary}` } });
  const profile = kollectObject('KollectProfile', 'home', 'secrets', { targetGVK: { version: 'v1', kind: 'Secret' }, attributes: [], export: { mode: 'Resource', include: 'All' } });
  await admin.create(`${api}/kollectprofiles`, { ...profile, metadata: { name: 'secrets', annotations: { [allowFullResourceExport]: 'true' } } });
  await createInHome(admin, 'kollecttargets', 'KollectTarget', 'secrets', { profileRef: 'secrets', namespaceSelector: { matchLabels: { collected: 'yes' } } });
}

/** Cluster targets that collect some objects both, of which the rollup is to have one row each: that of the second. */
const clusterTargets: Readonly<Record<string, object>> = {
  'a-all': { namespaceSelector: { matchLabels: { collected: 'yes' } } },
  'b-labelled': { namespaceSelector: { matchLabels: { collected: 'yes' } }, labelSelector: { matchLabels: { test: 'yes' } } },
};

export async function createClusterTargets(admin: KubeClient): Promise<void> {
  for (const [name, spec] of Object.entries(clusterTargets)) {
    await admin.create(`${clusterApi}/kollectclustertargets`, { ...kollectObject('KollectClusterTarget', '', name, { profileRef: { name: 'maps', namespace: 'home' }, ...spec }), metadata: { name } });
  }
}

/** What the cluster says that the rows of the rollup are. */
export async function expectedRollup(admin: KubeClient): Promise<string[]> {
  const { spec } = await admin.get<KollectClusterInventory>(rollupPath);
  const namespaces = (await admin.page('/api/v1/namespaces', {})).items.filter(({ metadata }) => has(metadata.labels, spec.namespaceSelector)).map(({ metadata }) => metadata.name);
  const byUid = new Map<string, string>();
  for (const name of Object.keys(clusterTargets)) for (const { row, uid, namespace } of await rowsOf(admin, `${clusterApi}/kollectclustertargets/${name}`)) if (namespaces.includes(namespace)) byUid.set(uid, row);
  return [...byUid.values()];
}

/** What the cluster says that the rows are, of the targets that there are. */
export async function expectedRows(admin: KubeClient): Promise<string[]> {
  const targets = (await admin.page(`${api}/kollecttargets`, {})).items;
  const rows: string[] = [];
  for (const { metadata } of targets) rows.push(...(await rowsOf(admin, `${api}/kollecttargets/${metadata.name}`)).map(({ row }) => row));
  return rows.sort();
}

const pathOf: Readonly<Record<string, string>> = { maps: mapPath(), gateways: gatewayPath(), secrets: '/api/v1/secrets' };

/** What one target is to collect. */
async function rowsOf(admin: KubeClient, path: string): Promise<{ row: string; uid: string; namespace: string }[]> {
  const { metadata: target, spec } = await admin.get<KubeObject & { spec: KollectTargetSpec }>(path);
  const { profileRef, namespaceSelector, labelSelector } = spec;
  const profileName = typeof profileRef === 'string' ? profileRef : (profileRef as { name: string }).name;
  const profile = compileProfile(await admin.get<KollectProfile>(`${api}/kollectprofiles/${profileName}`));
  const namespaces = new Map((await admin.page('/api/v1/namespaces', {})).items.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  return (await admin.page(pathOf[profileName]!, {})).items.flatMap((object) => {
    const { name, namespace = '', uid = '', labels } = object.metadata;
    if (!has(namespaces.get(namespace), namespaceSelector) || !has(labels, labelSelector)) return [];
    return { row: canonicalRow({ targetNamespace: target.namespace ?? '', targetName: target.name, namespace, name, ...profile.gvk, uid, attributes: profile.extract(object).attributes }), uid, namespace };
  });
}

function has(labels: Readonly<Record<string, string>> = {}, selector: { matchLabels?: Readonly<Record<string, string>> | undefined } = {}): boolean {
  return Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}

/** How found rows differ from those that are expected. */
export function differences(found: readonly string[], expected: readonly string[]): string {
  const missing = expected.filter((row) => !found.includes(row));
  const odd = found.filter((row) => !expected.includes(row));
  return `${found.length} rows of ${expected.length}; ${missing.length} missing ${missing.slice(0, 3).join(' ')}; ${odd.length} odd ${odd.slice(0, 3).join(' ')}`;
}
