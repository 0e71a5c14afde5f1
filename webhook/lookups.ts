import { setTimeout as sleep } from 'node:timers/promises';
import { API_VERSION } from '../shared/api/group.ts';
import { kinds } from '../shared/api/kinds.ts';
import type { KindDefinition } from '../shared/api/kinds.ts';
import type { KubeObject } from '../shared/api/kube-object.ts';
import type { KnownObject, Lookups } from '../shared/admission/lookups.ts';
import { reducedObject } from '../shared/admission/state/reduced-object.ts';
import { KnownObjects } from '../shared/admission/state/known-objects.ts';
import { overlaid } from '../shared/admission/state/object-lookups.ts';
import { KollectError } from '../shared/errors.ts';
import type { KubeClient } from '../shared/kube/client.ts';
import { ObjectCache } from '../shared/kube/object-cache.ts';
import type { Logger } from '../shared/log.ts';

export interface WatchedObjectsOptions {
  client: KubeClient;
  /** The only namespaces that are watched; all when empty. */
  namespaces: readonly string[];
  /** False where the installation has no rights on the whole cluster and takes no objects of cluster-scoped kinds. */
  clusterKinds: boolean;
  log: Logger;
}

/** A review waits no longer than this for the first lists: whoever applies objects wants an answer. */
const longestWaitMs = 3_000;

/** One resource, in one namespace or in all. */
interface Watched {
  kind: string;
  /** Undefined: all. */
  namespace: string | undefined;
  /** `kollectscopes`, or `team-a/kollectscopes`. */
  name: string;
  cache: ObjectCache<KnownObject>;
  /** Since when it gets no news, by the monotonic clock. */
  staleSince: number | undefined;
}

/**
 * Other objects of the cluster, held by watches and reduced to what rules read.
 *
 * Before the first lists are complete nothing is known: whoever needs it waits a moment, and is refused then. From there on the last known state is
 * used, however old it gets while the API server does not answer: that is when people repair things, and a scope of a minute ago refuses nothing
 * that it should not. How old it is stands in the metrics and in the log.
 */
export class WatchedObjects {
  readonly #watched: readonly Watched[];
  readonly #known = new KnownObjects();
  readonly #lookups: Lookups;
  readonly #log: Logger;
  readonly #synced: Promise<void>;
  #isSynced = false;
  #revision = 0;
  #isStale = false;

  constructor({ client, namespaces, clusterKinds, log }: WatchedObjectsOptions) {
    this.#log = log;
    const places = namespaces.length === 0 ? [undefined] : [...new Set(namespaces)];
    this.#watched = kinds
      .filter(({ kind, scope }) => kind !== 'KollectConnectionTest' && (scope === 'Namespaced' || clusterKinds))
      .flatMap((definition) => (definition.scope === 'Cluster' ? [undefined] : places).map((namespace) => this.#watch(definition, namespace, client)));
    this.#lookups = this.#over();
    this.#synced = Promise.all(this.#watched.map(({ cache }) => cache.synced)).then(() => {
      this.#isSynced = true;
    });
  }

  start(): void {
    for (const { cache } of this.#watched) cache.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#watched.map(({ cache }) => cache.stop()));
  }

  /** Resolves when the first lists are complete. */
  get synced(): Promise<void> {
    return this.#synced;
  }

  /** Why nothing is known yet; undefined once all is. */
  get notSynced(): string | undefined {
    if (this.#isSynced) return undefined;
    const missing = this.#watched.filter(({ cache: { state } }) => state.phase !== 'Synced');
    const failed = missing.find(({ cache: { state } }) => state.phase === 'Failed');
    const because = failed === undefined ? '' : ` (${failed.name}: ${failed.cache.state.message ?? failed.cache.state.reason ?? 'failed'})`;
    return `the lists of ${missing.map(({ name }) => name).join(', ')} are not complete${because}`;
  }

  /** What is known, at once; undefined before the first lists are complete. */
  get current(): Lookups | undefined {
    return this.#isSynced ? this.#lookups : undefined;
  }

  /** Another number after each change of what is known; undefined before the first lists are complete. */
  get revision(): number | undefined {
    return this.#isSynced ? this.#revision : undefined;
  }

  /**
   * What is known, as soon as it is: lists that failed are tried again at once. Rejects with `KOL_ADMISSION_LOOKUP` when that takes too long.
   *
   * @param deadline time of `performance.now()`.
   */
  async known(deadline: number): Promise<Lookups> {
    const patience = new AbortController();
    const waitMs = Math.max(0, Math.min(longestWaitMs, deadline - performance.now()));
    for (const { cache } of this.#watched) if (cache.state.phase !== 'Synced') cache.hurry(waitMs);
    await Promise.race([this.#synced, sleep(waitMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
    if (this.#isSynced) return this.#lookups;
    throw new KollectError('KOL_ADMISSION_LOOKUP', `the webhook has just started and does not know the other objects of the cluster yet: ${this.notSynced ?? ''}`);
  }

  /** Seconds since each resource last was up to date; 0 while its watch runs. */
  *ages(): Generator<{ resource: string; seconds: number }> {
    const now = performance.now();
    for (const { name, staleSince } of this.#watched) yield { resource: name, seconds: staleSince === undefined ? 0 : (now - staleSince) / 1000 };
  }

  /** The age of the oldest, in seconds. */
  get ageSeconds(): number {
    return Math.max(...Iterator.from(this.ages()).map(({ seconds }) => seconds));
  }

  #watch({ kind, plural }: KindDefinition, namespace: string | undefined, client: KubeClient): Watched {
    const name = namespace === undefined ? plural : `${namespace}/${plural}`;
    const path = `/apis/${API_VERSION}/${namespace === undefined ? '' : `namespaces/${namespace}/`}${plural}`;
    const observe = (event: string): void => {
      if (event === 'watching') watched.staleSince = undefined;
      else if (failures.has(event)) watched.staleSince ??= performance.now();
      else return;
      this.#tellAge();
    };
    const keep = (object: KubeObject): KnownObject => reducedObject(object);
    const watched: Watched = { kind, namespace, name, cache: new ObjectCache<KnownObject>({ client, path, name, logger: this.#log, keep, observe }), staleSince: undefined };
    watched.cache.onChange((key, object) => {
      this.#revision++;
      const [where = '', which = ''] = key.split('/');
      if (object === undefined) this.#known.delete(kind, where, which);
      else this.#known.set(object);
    });
    return watched;
  }

  #tellAge(): void {
    const isStale = this.#isSynced && this.#watched.some(({ staleSince }) => staleSince !== undefined);
    if (isStale === this.#isStale) return;
    this.#isStale = isStale;
    if (isStale) this.#log.warn('the API server sends no news: objects are judged by what was last known');
    else this.#log.info('the API server sends news again');
  }

  #over(): Lookups {
    const namespaces = new Map([...Map.groupBy(this.#watched, ({ kind }) => kind)].map(([kind, watched]) => [kind, new Set(watched.map(({ namespace }) => namespace))]));
    // Without them an object would be let through that a scope refuses; what else is missing only costs advice.
    const mustWatch = (kind: string, namespace: string): void => {
      const watched = namespaces.get(kind);
      if (watched?.has(undefined) !== true && watched?.has(namespace) !== true) throw new KollectError('KOL_ADMISSION_LOOKUP', `the webhook does not watch the namespace ${JSON.stringify(namespace)}: add it to --watch-namespaces, or keep its objects away by the namespaceSelector of the webhook configuration`);
    };
    return overlaid(this.#known, {
      scopes: (namespace) => {
        mustWatch('KollectScope', namespace);
        return this.#known.scopes(namespace);
      },
      profile: (namespace, name) => {
        mustWatch('KollectProfile', namespace);
        return this.#known.profile(namespace, name);
      },
    });
  }
}

/** Events of a reflector after which it does not know what happens. */
const failures: ReadonlySet<string> = new Set(['error', 'broken-line', 'idle', 'expired']);
