import type { KubeObject } from '../../api/kube-object.ts';
import type { KnownObject, KnownSink } from '../lookups.ts';
import { knownObject } from './object-lookups.ts';

/**
 * What rules about other objects read of one, and nothing else: a cluster may hold thousands. Only for kinds of ours.
 *
 * @example reducedObject(profile).spec // { targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' } }
 */
export function reducedObject(object: KubeObject): KnownObject {
  const known = knownObject(object);
  if (known === undefined) throw new TypeError(`nothing is looked up of ${object.kind}`);
  switch (known.kind) {
    case 'KollectScope':
    case 'KollectClusterScope':
      return known;
    case 'KollectProfile':
      return { ...known, spec: { targetGVK: known.spec.targetGVK } };
    case 'KollectTarget': {
      const { profileRef, includedNamespaces, namespaceSelector, resourceRules } = known.spec;
      return { ...known, spec: { profileRef, includedNamespaces, namespaceSelector, resourceRules: resourceRules?.map((rule) => rule && { gvk: rule.gvk }) } };
    }
    case 'KollectClusterTarget': {
      const { profileRef, includedNamespaces, namespaceSelector, resourceRules } = known.spec;
      return { ...known, spec: { profileRef, includedNamespaces, namespaceSelector, resourceRules: resourceRules?.map((rule) => rule && { gvk: rule.gvk }) } };
    }
    case 'KollectInventory': {
      const { snapshotSinkRefs, databaseSinkRefs, eventSinkRefs, exportMinInterval } = known.spec;
      return { ...known, spec: { snapshotSinkRefs, databaseSinkRefs, eventSinkRefs, exportMinInterval } };
    }
    case 'KollectClusterInventory': {
      const { snapshotSinkRefs, databaseSinkRefs, eventSinkRefs, exportMinInterval, sinkNamespace, profileRef } = known.spec;
      return { ...known, spec: { snapshotSinkRefs, databaseSinkRefs, eventSinkRefs, exportMinInterval, sinkNamespace, profileRef } };
    }
    default:
      return { ...known, spec: reducedSink(known) };
  }
}

function reducedSink({ kind, spec }: KnownSink): KnownSink['spec'] {
  const { type, exportMinInterval } = spec;
  if (kind !== 'KollectSnapshotSink') return { type, exportMinInterval };
  const { endpoint, pathTemplate, cluster, serialization, layout, git, gitlab, objectStore } = spec;
  return {
    type,
    exportMinInterval,
    endpoint,
    pathTemplate,
    cluster,
    serialization,
    layout: layout && { mode: layout.mode, pathTemplate: layout.pathTemplate },
    git: git && { branch: git.branch },
    gitlab: gitlab && { mergeRequest: gitlab.mergeRequest && { targetBranch: gitlab.mergeRequest.targetBranch } },
    objectStore: objectStore && { format: objectStore.format },
  };
}
