import type { KubeObject } from '../api/kube-object.ts';

/**
 * What tells an object from all others: its uid. Some aggregated APIs serve objects that have none; for them resource, namespace and name stand for it.
 *
 * @param resource needed where objects of several resources meet
 * @example objectKey({ metadata: { namespace: 'shop', name: 'cart' } }, { group: 'metrics.k8s.io', plural: 'pods' }) // 'pods.metrics.k8s.io/shop/cart'
 */
export function objectKey({ metadata: { uid, namespace = '', name } }: Pick<KubeObject, 'metadata'>, resource?: { group: string; plural: string }): string {
  const prefix = resource === undefined ? '' : `${resource.plural}.${resource.group}/`;
  // A text that is put together would keep its parts alive; parsing makes one of its own.
  return uid || (JSON.parse(JSON.stringify(`${prefix}${namespace}/${name}`)) as string);
}
