/** Objects that tests export. */
export const kollectObjects = `apiVersion: kollect.dev/v1alpha1
kind: KollectProfile
metadata: {name: web, namespace: team-a}
spec:
  targetGVK: {group: apps, version: v1, kind: Deployment}
  attributes:
    - {name: image, path: '$.spec.template.spec.containers[0].image'}
    - {name: replicas, path: 'cel:object.spec.replicas'}
---
apiVersion: kollect.dev/v1alpha1
kind: KollectTarget
metadata: {name: web, namespace: team-a}
spec:
  profileRef: web
  namespaceSelector:
    matchLabels: {tier: shop}
`;

interface Deployment {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace: string; uid: string; annotations?: Record<string, string> };
  spec: object;
}

export function deployment(name: string, namespace: string, replicas: number | string = 1): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, uid: `uid-${namespace}-${name}`, annotations: { note: '"items": [{}], \\" {' } },
    spec: { replicas, template: { spec: { containers: [{ image: `registry.example/${name}:1.4.2` }] } } },
  };
}

export const namespace = (name: string, tier: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { tier } } });

export const list = (items: readonly object[]) => ({ apiVersion: 'v1', items, kind: 'List', metadata: { resourceVersion: '' } });

/** As kubectl prints a list. */
export const printed = (items: readonly object[]): string => `${JSON.stringify(list(items), null, 4)}\n`;

/** Two namespaces of the shop and one of others, with a Deployment in each, and a Service. */
export const cluster: readonly object[] = [
  deployment('cart', 'shop-b', 3),
  namespace('shop-a', 'shop'),
  deployment('api', 'shop-a', 2),
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'api', namespace: 'shop-a', uid: 'uid-service' } },
  namespace('shop-b', 'shop'),
  deployment('agent', 'kube-system', 1),
];
