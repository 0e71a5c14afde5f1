import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { ObjectMeta } from '../../shared/api/meta.ts';
import { API_VERSION } from '../../shared/api/group.ts';
import { sinkKinds } from '../sink-directory.ts';

type OwnerReference = NonNullable<ObjectMeta['ownerReferences']>[number];

/**
 * The owners of a connection test: its sink with which it is deleted, unless `spec.ownerSink` is false, and whoever else owns it. A sink that it named before is
 * none any more.
 */
export function ownersOf(test: KubeObject, sink: KubeObject): OwnerReference[] {
  const owners = test.metadata.ownerReferences ?? [];
  const { name, uid = '' } = sink.metadata;
  const isWanted = (test['spec'] as { ownerSink?: boolean } | undefined)?.ownerSink !== false;
  const others = owners.filter((owner) => !isOurs(owner) || (isWanted && owner.uid === uid));
  if (!isWanted || others.some((owner) => owner.uid === uid)) return others;
  // An object has one controller at most.
  const controller = others.some((owner) => owner.controller) ? {} : { controller: true };
  return [...others, { apiVersion: API_VERSION, kind: sink.kind, name, uid, ...controller }];
}

/** One that people set says nothing of a controller. */
function isOurs({ apiVersion, kind, controller }: OwnerReference): boolean {
  return controller === true && apiVersion === API_VERSION && (Object.values(sinkKinds) as string[]).includes(kind);
}
