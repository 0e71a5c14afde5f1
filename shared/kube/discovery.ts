import { KubeApiError, type KubeClient } from './client.ts';

export interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

/** A resource as the API server serves it. */
export interface ApiResource extends GroupVersionKind {
  plural: string;
  namespaced: boolean;
  verbs: readonly string[];
  /** Collection path, of one namespace or of all. */
  path(namespace?: string): string;
}

/** A kind that was not there is asked for again after this time. */
const missAgeMs = 5_000;
/** Whoever writes profiles names versions, so there may be any number of them. Clusters with many CRDs have some hundreds. */
const maxVersions = 1_000;
/** Kinds of which it is remembered since when they are missing. */
const maxMissing = 1_000;

/** Tells which resource serves a kind: plural names and scopes are the server's to know. */
export class Discovery {
  readonly #client: KubeClient;
  readonly #versions = new Map<string, { readAt: number; resources: Promise<Map<string, ApiResource>> }>();

  /** Monotonic milliseconds of the first time that a kind was not served, by its name. */
  readonly #missing = new Map<string, number>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** The resource of a kind in exactly this version, or undefined when the server has none. Throws `KubeApiError` when it cannot tell. */
  async resolve(gvk: GroupVersionKind): Promise<ApiResource | undefined> {
    const resource = await this.#resolve(gvk);
    const name = nameOf(gvk);
    if (resource) this.#missing.delete(name);
    else if (!this.#missing.has(name)) {
      const [oldest] = this.#missing.keys();
      if (this.#missing.size >= maxMissing && oldest !== undefined) this.#missing.delete(oldest);
      this.#missing.set(name, performance.now());
    }
    return resource;
  }

  /** For how many milliseconds a kind has not been served, as far as it was asked for; undefined when it was at the last time. */
  missingMs(gvk: GroupVersionKind): number | undefined {
    const since = this.#missing.get(nameOf(gvk));
    return since === undefined ? undefined : performance.now() - since;
  }

  async #resolve({ group, version, kind }: GroupVersionKind): Promise<ApiResource | undefined> {
    const known = this.#versions.get(`${group}/${version}`);
    const resource = (await known?.resources)?.get(kind);
    if (resource || (known && performance.now() - known.readAt < missAgeMs)) return resource;
    return (await this.#read(group, version)).get(kind);
  }

  invalidate(group: string, version: string): void {
    this.#versions.delete(`${group}/${version}`);
  }

  /** Kinds of this group may be served in another way than before. */
  invalidateGroup(group: string): void {
    for (const key of this.#versions.keys()) if (key.startsWith(`${group}/`)) this.#versions.delete(key);
  }

  #read(group: string, version: string): Promise<Map<string, ApiResource>> {
    const key = `${group}/${version}`;
    const resources = this.#fetch(group, version);
    this.#versions.delete(key);
    this.#versions.set(key, { readAt: performance.now(), resources });
    const [oldest] = this.#versions.keys();
    if (this.#versions.size > maxVersions && oldest !== undefined) this.#versions.delete(oldest);
    resources.catch(() => this.#versions.delete(key));
    return resources;
  }

  async #fetch(group: string, version: string): Promise<Map<string, ApiResource>> {
    const root = group ? `/apis/${group}/${version}` : `/api/${version}`;
    const found = new Map<string, ApiResource>();
    try {
      const { resources } = await this.#client.get<{ resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[] }>(root);
      for (const { name, kind, namespaced, verbs } of resources) {
        // Subresources, and further resources of a kind that only create reviews and the like.
        if (name.includes('/') || found.get(kind)?.verbs.includes('list')) continue;
        const path = (namespace?: string): string => (namespaced && namespace ? `${root}/namespaces/${namespace}/${name}` : `${root}/${name}`);
        found.set(kind, { group, version, kind, plural: name, namespaced, verbs, path });
      }
    } catch (error) {
      if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
    }
    return found;
  }
}

function nameOf({ group, version, kind }: GroupVersionKind): string {
  return `${group}/${version}/${kind}`;
}
