import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { ApiResource, Discovery, GroupVersionKind } from '../../shared/kube/discovery.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { ObjectCache } from '../../shared/kube/object-cache.ts';
import type { ReflectorObserver, ReflectorPace } from '../../shared/kube/reflector.ts';
import type { Logger } from '../../shared/log.ts';
import type { AccessReviews } from './access-reviews.ts';
import { defaultDenialGraceMs } from './watch-scopes.ts';

const root = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const resource: ApiResource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
  verbs: ['list', 'watch'],
  path: () => root,
};

/** Definitions hold the schemas of all versions: more of them at a time would block the process. */
const pageSize = 10;
/** Those who have no right to definitions seldom get it. */
const retryMs = 300_000;

/** What of a CustomResourceDefinition decides whether and where a kind is served. */
interface Definition {
  group: string;
  kind: string;
  /** Plural, scope, served versions, and whether the API server has accepted them. */
  facts: string;
}

export interface DefinitionsOptions {
  client: KubeClient;
  discovery: Pick<Discovery, 'missingMs'>;
  /** Milliseconds that a kind has to be missing before it counts as gone, when nobody saw its definition go; as for denials when unset. */
  graceMs?: number | undefined;
  reviews: AccessReviews;
  logger: Logger;
  observe?: ReflectorObserver | undefined;
  pace?: ReflectorPace | undefined;
  /** Kinds of this group appeared, went, or are served in another way. */
  onChange: (group: string) => void;
}

/** Follows CustomResourceDefinitions, where we may. Without them kinds that appear are noticed later, and none is ever known to be gone. */
export class Definitions {
  readonly #options: DefinitionsOptions;
  readonly #cache: ObjectCache<Definition>;
  readonly #known = new Map<string, Definition>();
  /** Kinds whose definition was seen and is deleted. */
  readonly #gone = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: DefinitionsOptions) {
    this.#options = options;
    const { client, logger, observe, pace } = options;
    this.#cache = new ObjectCache<Definition>({ client, path: root, name: 'customresourcedefinitions', logger, observe, ...pace, pageSize, keep: (object) => definitionOf(object) });
    this.#cache.onChange((key, definition) => this.#changed(key, definition));
  }

  /** Begins as soon as it may. */
  start(): void {
    void this.#start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#cache.stop();
  }

  /**
   * True when the definition of a kind was deleted, which takes all of its objects along: that was seen; or there is none, and the API server has not
   * served the kind for as long as the grace period. False when it is not known.
   */
  isGone(gvk: GroupVersionKind): boolean {
    const { discovery, graceMs = defaultDenialGraceMs } = this.#options;
    const name = `${gvk.group}/${gvk.kind}`;
    if (this.#gone.has(name)) return true;
    const missingMs = discovery.missingMs(gvk);
    if (this.#cache.state.phase !== 'Synced' || missingMs === undefined || missingMs < graceMs) return false;
    return !this.#known.values().some((definition) => kindOf(definition) === name);
  }

  async #start(): Promise<void> {
    const { reviews, logger } = this.#options;
    try {
      const denied = await reviews.denied(resource);
      if (this.#stopped) return;
      if (denied.length === 0) return this.#cache.start();
      logger.info(`definitions of kinds are not followed: the controller may not ${denied.join(' or ')} ${resource.plural}`);
    } catch (error) {
      logger.warn('access could not be reviewed', { resource: resource.plural, error: String(error) });
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#start(), retryMs);
  }

  #changed(key: string, definition: Definition | undefined): void {
    const before = this.#known.get(key);
    if (before?.facts === definition?.facts) return;
    if (definition) {
      this.#known.set(key, definition);
      this.#gone.delete(kindOf(definition));
    } else if (before) {
      this.#known.delete(key);
      // Another definition may have taken the kind over.
      if (!this.#known.values().some((other) => kindOf(other) === kindOf(before))) this.#gone.add(kindOf(before));
    }
    this.#options.onChange((definition ?? before)!.group);
  }
}

function kindOf({ group, kind }: Definition): string {
  return `${group}/${kind}`;
}

function definitionOf(object: KubeObject): Definition {
  const { group, names, scope, versions } = object['spec'] as {
    group: string;
    names: { kind: string; plural: string };
    scope: string;
    versions: readonly { name: string; served: boolean }[];
  };
  // Null until the API server has looked at the definition.
  const conditions = (object['status'] as { conditions?: readonly { type: string; status: string }[] | null } | undefined)?.conditions ?? [];
  const served = versions.filter((version) => version.served).map(({ name }) => name);
  const established = conditions.some(({ type, status }) => type === 'Established' && status === 'True');
  return { group, kind: names.kind, facts: JSON.stringify([names.plural, names.kind, scope, served, established]) };
}
