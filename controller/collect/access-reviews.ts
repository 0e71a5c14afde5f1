import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';

/** What a watch needs. Both are asked for: a list that is allowed says nothing of the watch. */
const verbs = ['list', 'watch'] as const;
const defaultAgeMs = 50_000;
/** Scopes that nobody asks for any more leave when there are more answers than this. */
const sweepAbove = 1_000;

interface Answer {
  at: number;
  denied: readonly string[];
}

/**
 * Asks the API server what we may do, once per resource and namespace for as long as an answer holds, and never per object. Where it cannot be asked,
 * everything counts as allowed until a request is refused.
 */
export class AccessReviews {
  readonly #client: KubeClient;
  readonly #ageMs: number;
  readonly #answers = new Map<string, Answer>();

  /** @param ageMs how long an answer holds; 50,000 when unset, so that new rights are noticed within a minute */
  constructor(client: KubeClient, ageMs = defaultAgeMs) {
    this.#client = client;
    this.#ageMs = ageMs;
  }

  get ageMs(): number {
    return this.#ageMs;
  }

  /**
   * The verbs that we lack to list and watch a resource, in one namespace or in all. The first one only: what cannot be listed is not asked for more.
   * Throws `KubeApiError` when the API server cannot tell.
   *
   * @example await reviews.denied(pods, 'shop') // ['watch']
   */
  async denied(resource: ApiResource, namespace?: string): Promise<readonly string[]> {
    const key = resource.path(namespace);
    const known = this.#answers.get(key);
    if (known && performance.now() - known.at < this.#ageMs) return known.denied;
    const denied: string[] = [];
    for (const verb of verbs) {
      if (denied.length === 0 && !(await this.#ask(resource, verb, namespace))) denied.push(verb);
    }
    this.#remember(key, denied);
    return denied;
  }

  /** The API server refused a list or watch. That counts as its answer for as long as one holds. */
  refused(resource: ApiResource, namespace?: string): void {
    this.#remember(resource.path(namespace), [...verbs]);
  }

  async #ask({ group, version, plural }: ApiResource, verb: string, namespace: string | undefined): Promise<boolean> {
    const resourceAttributes = { group, version, resource: plural, verb, ...(namespace === undefined ? {} : { namespace }) };
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } };
    try {
      const { status } = await this.#client.create<{ status?: { allowed?: boolean } }>('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review);
      return status?.allowed !== false;
    } catch (error) {
      if (error instanceof KubeApiError && (error.status === 403 || error.status === 404)) return true;
      throw error;
    }
  }

  #remember(key: string, denied: readonly string[]): void {
    const now = performance.now();
    this.#answers.delete(key);
    this.#answers.set(key, { at: now, denied });
    if (this.#answers.size <= sweepAbove) return;
    for (const [oldest, { at }] of this.#answers) {
      if (now - at < this.#ageMs) break;
      this.#answers.delete(oldest);
    }
  }
}
