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

/** What the cluster says that the rows are, of the targets that there are. */
export async function expectedRows(admin: KubeClient): Promise<string[]> {
  const listAll = async (path: string): Promise<KubeObject[]> => (await admin.page(path, {})).items;
  const namespaces = new Map((await listAll('/api/v1/namespaces')).map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  const objectsOf = new Map([['maps', await listAll(mapPath())], ['gateways', await listAll(gatewayPath())]]);
  const rows: string[] = [];
  for (const { metadata: target, spec } of await listAll(`${api}/kollecttargets`)) {
    const { profileRef, namespaceSelector, labelSelector } = spec as KollectTargetSpec;
    const profile = compileProfile(await admin.get<KollectProfile>(`${api}/kollectprofiles/${profileRef}`));
    for (const object of objectsOf.get(profileRef) ?? []) {
      const { name, namespace = '', uid = '', labels } = object.metadata;
      if (!has(namespaces.get(namespace), namespaceSelector) || !has(labels, labelSelector)) continue;
      rows.push(canonicalRow({ targetNamespace: 'home', targetName: target.name, namespace, name, ...profile.gvk, uid, attributes: profile.extract(object).attributes }));
    }
  }
  return rows.sort();
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
