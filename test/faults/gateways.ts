import type { KubeClient } from '../../shared/kube/client.ts';
import { eventually } from '../servers/eventually.ts';

export const gatewayPath = (namespace?: string): string => `/apis/shop.example/v1${namespace === undefined ? '' : `/namespaces/${namespace}`}/gateways`;
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const name = 'gateways.shop.example';
export const definitionPath = `${definitions}/${name}`;

/** Makes a kind of its own, and waits until it can be written to in this namespace. */
export async function defineGateways(admin: KubeClient, namespace: string): Promise<void> {
  await admin.create(definitions, {
    metadata: { name },
    spec: {
      group: 'shop.example',
      scope: 'Namespaced',
      names: { kind: 'Gateway', plural: 'gateways' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }],
    },
  });
  // Established is not enough: the API server begins to serve it a moment later.
  const probe = { apiVersion: 'shop.example/v1', kind: 'Gateway', metadata: { name: 'probe' } };
  await eventually(() => admin.create(gatewayPath(namespace), probe, { dryRun: 'All' }), { what: 'the definition' });
}
