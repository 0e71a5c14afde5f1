import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';

/** What a watch needs. Both are asked for: a list that is allowed says nothing of the watch. */
const verbs = ['list', 'watch'] as const;
const defaultAgeMs = 50_000;
/** A refusal that a review contradicts is believed this long at first. Each further one doubles the time, up to the age of answers. */
const firstDoubtMs = 1_000;
/** Scopes that nobody asks for any more leave when there are more answers than this. */
const sweepAbove = 1_000;

interface Answer {
  at: number;
  denied: readonly string[];
  /** The API server refused what reviews allow: how often in a row, and until when that counts. */
  refusals: number;
  refusedAt: number;
  refusedUntil: number;
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
   * @param ageMs asks again when the last answer is older; when unset, as long as an answer holds
   * @example await reviews.denied(pods, 'shop') // ['watch']
   */
  async denied(resource: ApiResource, namespace?: string, ageMs = this.#ageMs): Promise<readonly string[]> {
    const key = resource.path(namespace);
    const known = this.#answers.get(key);
    const now = performance.now();
    if (known && (now < known.refusedUntil || now - known.at < Math.min(ageMs, this.#ageMs))) return known.denied;
    const denied: string[] = [];
    for (const verb of verbs) {
      if (denied.length === 0 && !(await this.#ask(resource, verb, namespace))) denied.push(verb);
    }
    const latest = this.#answers.get(key);
    // What was refused since the review began is the newer answer.
    if (latest && latest.refusedAt > now) return latest.denied;
    // Reviews that agree with a refusal are believed when they allow again; those that never saw it are not, for a while.
    const { refusals = 0, refusedAt = -Infinity, refusedUntil = 0 } = denied.length > 0 ? {} : (latest ?? {});
    this.#remember(key, { denied, refusals, refusedAt, refusedUntil });
    return denied;
  }

  /**
   * The API server refused a list or watch. That counts as its answer for a moment, and for longer each time that reviews allow what is refused again.
   */
  refused(resource: ApiResource, namespace?: string): void {
    const key = resource.path(namespace);
    const now = performance.now();
    const known = this.#answers.get(key);
    const refusals = known && now - known.refusedUntil < this.#ageMs ? known.refusals + 1 : 1;
    const refusedUntil = now + Math.min(this.#ageMs, firstDoubtMs * 2 ** (refusals - 1));
    this.#remember(key, { denied: verbs, refusals, refusedAt: now, refusedUntil });
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

  #remember(key: string, answer: Omit<Answer, 'at'>): void {
    const now = performance.now();
    this.#answers.delete(key);
    this.#answers.set(key, { at: now, ...answer });
    if (this.#answers.size <= sweepAbove) return;
    for (const [oldest, { at }] of this.#answers) {
      if (now - at < this.#ageMs) break;
      this.#answers.delete(oldest);
    }
  }
}
