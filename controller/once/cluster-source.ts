import { annotations } from '../../shared/api/annotations.ts';
import { API_VERSION } from '../../shared/api/group.ts';
import { kinds } from '../../shared/api/kinds.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import { Discovery, type ApiResource, type GroupVersionKind } from '../../shared/kube/discovery.ts';
import { listPages } from '../../shared/kube/list.ts';
import type { NamespaceFacts } from '../collect/selection.ts';
import { installationUid } from '../installation.ts';
import { withGrant, type SecretObject } from '../sinks/runtime/secrets.ts';
import { namespaceFacts, type ObjectSource, type WantedObjects } from './object-source.ts';

/** Reads the objects of a cluster from its API server, and writes nothing there. Everything throws `KubeApiError`. */
export class ClusterSource implements ObjectSource {
  readonly isWhole = true;
  readonly #client: KubeClient;
  readonly #discovery: Discovery;
  readonly #signal: AbortSignal;
  readonly installation: () => Promise<string | undefined>;

  constructor(client: KubeClient, signal: AbortSignal) {
    this.#client = client;
    this.#discovery = new Discovery(client);
    this.#signal = signal;
    this.installation = installationUid(client);
  }

  /**
   * Kollect's own objects of some kinds; none where their kinds are not installed.
   *
   * @param areNeeded whether it is an error when they must not be listed, too
   */
  async kollectObjects(wants: (kind: string) => boolean, areNeeded: boolean): Promise<KubeObject[]> {
    const lists = kinds.filter(({ kind }) => kind !== 'KollectConnectionTest' && wants(kind)).map(async ({ plural }) => {
      try {
        return await this.#all(`/apis/${API_VERSION}/${plural}`);
      } catch (error) {
        if (error instanceof KubeApiError && (error.status === 404 || (error.status === 403 && !areNeeded))) return [];
        throw error;
      }
    });
    return (await Promise.all(lists)).flat();
  }

  async namespaces(): Promise<NamespaceFacts[]> {
    return (await this.#all('/api/v1/namespaces')).map(({ metadata }) => namespaceFacts(metadata));
  }

  async resolve(gvk: GroupVersionKind): Promise<ApiResource | undefined> {
    return await this.#discovery.resolve(gvk);
  }

  async *objects(wanted: readonly WantedObjects[]): AsyncGenerator<readonly KubeObject[]> {
    for (const { resource, namespaces } of wanted) {
      try {
        yield* this.#pages(resource.path());
      } catch (error) {
        // Who may not list all of them may list those of some namespaces.
        if (!(error instanceof KubeApiError) || error.status !== 403 || !resource.namespaced || namespaces.size === 0) throw error;
        for (const namespace of namespaces) yield* this.#pages(resource.path(namespace));
      }
    }
  }

  async readSecret(namespace: string, name: string): Promise<SecretObject | undefined> {
    const secret = await this.#get<SecretObject>(`/api/v1/namespaces/${namespace}/secrets/${name}`);
    if (!secret) return undefined;
    const facts = await this.#get(`/api/v1/namespaces/${namespace}`);
    return withGrant(secret, facts?.metadata.annotations?.[annotations.grantTo]);
  }

  async #get<T = KubeObject>(path: string): Promise<T | undefined> {
    try {
      return await this.#client.get<T>(path, undefined, this.#signal);
    } catch (error) {
      if (error instanceof KubeApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #all(path: string): Promise<KubeObject[]> {
    const all: KubeObject[] = [];
    for await (const items of this.#pages(path)) all.push(...items);
    return all;
  }

  async *#pages(path: string): AsyncGenerator<readonly KubeObject[]> {
    // What is listed once more is the same row once more.
    for await (const { items } of listPages(this.#client, path, { signal: this.#signal, restarted: () => undefined })) yield items;
  }
}
