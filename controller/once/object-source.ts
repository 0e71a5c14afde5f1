import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { ApiResource, GroupVersionKind } from '../../shared/kube/discovery.ts';
import type { NamespaceFacts } from '../collect/selection.ts';
import type { SecretObject } from '../sinks/runtime/secrets.ts';

/** A namespace as the API server stores it: with a label of its name. */
export function namespaceFacts({ name, labels, annotations }: { name: string; labels?: Record<string, string> | undefined; annotations?: Record<string, string> | undefined }): NamespaceFacts {
  return { name, labels: { 'kubernetes.io/metadata.name': name, ...labels }, annotations };
}

/** Objects of one kind that somebody wants. */
export interface WantedObjects {
  /** As `gvkKey` gives it. */
  key: string;
  resource: ApiResource;
  /** Where they are wanted, as far as namespaces are known. */
  namespaces: ReadonlySet<string>;
}

/** Where the objects of a cluster are read from, once. */
export interface ObjectSource {
  /** What it has no object of does not exist. Otherwise nobody may have asked for it. */
  readonly isWhole: boolean;
  /** Those that are known before any object is read. */
  namespaces(): Promise<NamespaceFacts[]>;
  /** The resource of a kind; undefined when it is known that there is none. */
  resolve(gvk: GroupVersionKind): Promise<ApiResource | undefined>;
  /** Objects of some kinds, some hundred at a time; there may be others between them. */
  objects(wanted: readonly WantedObjects[]): AsyncIterable<readonly KubeObject[]>;
  readSecret(namespace: string, name: string): Promise<SecretObject | undefined>;
  /** Uid of the installation that the cluster has; undefined when it is not known. */
  installation(): Promise<string | undefined>;
}
