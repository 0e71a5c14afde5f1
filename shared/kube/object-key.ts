import type { KubeObject } from '../api/kube-object.ts';

/**
 * What tells an object from all others of its resource: its uid. Some aggregated APIs serve objects that have none; for them namespace and name stand for it.
 *
 * @example objectKey({ metadata: { namespace: 'shop', name: 'cart' } }) // 'shop/cart'
 */
export function objectKey({ metadata: { uid, namespace = '', name } }: Pick<KubeObject, 'metadata'>): string {
  // A text that is put together would keep its parts alive; parsing makes one of its own.
  return uid || (JSON.parse(JSON.stringify(`${namespace}/${name}`)) as string);
}
