import type { KubeObject } from '../../api/kube-object.ts';
import { sinkRefLists } from '../../api/sink-ref.ts';
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
    case 'KollectProfile': {
      const { targetGVK, attributes, export: exported } = known.spec;
      return { ...known, spec: { targetGVK, attributes: attributes?.map((attribute) => attribute && { path: attribute.path }), export: exported && { mode: exported.mode } } };
    }
    case 'KollectTarget':
    case 'KollectClusterTarget':
      return { ...known, spec: { ...picked(known.spec, ['profileRef', 'includedNamespaces', 'namespaceSelector']), resourceRules: known.spec.resourceRules?.map((rule) => rule && { gvk: rule.gvk }) } } as KnownObject;
    case 'KollectInventory':
      return { ...known, spec: picked(known.spec, ofInventories) };
    case 'KollectClusterInventory':
      return { ...known, spec: picked(known.spec, [...ofInventories, 'sinkNamespace', 'profileRef']) };
    default:
      return { ...known, spec: reducedSink(known) };
  }
}

const ofInventories = [...sinkRefLists, 'exportMinInterval'] as const;

function picked<T extends object, K extends keyof T>(whole: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, whole[key]])) as Pick<T, K>;
}

function reducedSink({ kind, spec }: KnownSink): KnownSink['spec'] {
  if (kind !== 'KollectSnapshotSink') return picked(spec, ['type', 'exportMinInterval']);
  const { layout, git, gitlab, objectStore } = spec;
  return {
    ...picked(spec, ['type', 'exportMinInterval', 'endpoint', 'pathTemplate', 'cluster', 'serialization']),
    layout: layout && { mode: layout.mode, pathTemplate: layout.pathTemplate },
    git: git && { branch: git.branch },
    gitlab: gitlab && { mergeRequest: gitlab.mergeRequest && { targetBranch: gitlab.mergeRequest.targetBranch } },
    objectStore: objectStore && { format: objectStore.format },
  };
}
