import type { KubeObject } from '../api/kube-object.ts';
import type { Logger } from '../log.ts';
import type { KubeClient } from './client.ts';
import { Reflector, type ReflectorHandler, type ReflectorObserver, type ReflectorPace, type ReflectorState } from './reflector.ts';

export interface ObjectCacheOptions<T> extends ReflectorPace {
  client: KubeClient;
  /** Where all objects are listed. */
  path: string;
  /** Only these parts of them, each watched by itself, so that rights to more are not needed; all when unset. */
  parts?: readonly ObjectPart[] | undefined;
  name: string;
  logger: Logger;
  observe?: ReflectorObserver | undefined;
  /** What is kept of an object; the object itself when unset. */
  keep?: (object: KubeObject) => T;
}

export interface ObjectPart {
  path: string;
  fieldSelector?: string | undefined;
}

type Listener<T> = (key: string, object: T | undefined) => void;

interface Entry<T> {
  object: T;
  uid: string | undefined;
  part: number;
  epoch: number;
}

/** The few objects that steer us, held in memory by `<namespace>/<name>` and kept up to date by a watch. */
export class ObjectCache<T = KubeObject> {
  readonly #reflectors: readonly Reflector[];
  readonly #keep: (object: KubeObject) => T;
  readonly #objects = new Map<string, Entry<T>>();
  readonly #listeners = new Set<Listener<T>>();
  readonly #synced: Promise<unknown>;

  constructor(options: ObjectCacheOptions<T>) {
    const { path, parts = [{ path }] } = options;
    this.#keep = options.keep ?? ((object) => object as T);
    const firstLists = parts.map(() => Promise.withResolvers<void>());
    this.#synced = Promise.all(firstLists.map(({ promise }) => promise));
    this.#reflectors = parts.map((part, index) => new Reflector({ ...options, ...part, handler: this.#handler(index, firstLists[index]!.resolve) }));
  }

  /** Resolves when the first list is complete. */
  get synced(): Promise<unknown> {
    return this.#synced;
  }

  /** That of the part that is worst off. */
  get state(): ReflectorState {
    const states = this.#reflectors.map(({ state }) => state);
    return states.find(({ phase }) => phase === 'Failed') ?? states.find(({ phase }) => phase !== 'Synced') ?? states[0] ?? { phase: 'Synced', since: 0 };
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  /** Somebody waits: for so many milliseconds what failed is soon tried again. */
  hurry(ms: number): void {
    for (const reflector of this.#reflectors) reflector.hurry(ms);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)?.object;
  }

  *list(): Generator<T> {
    for (const { object } of this.#objects.values()) yield object;
  }

  *byNamespace(namespace: string): Generator<T> {
    const prefix = `${namespace}/`;
    for (const [key, { object }] of this.#objects) if (key.startsWith(prefix)) yield object;
  }

  /** Calls back for every object that appears, changes or goes; returns how to end that. */
  onChange(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #handler(part: number, complete: () => void): ReflectorHandler {
    let current = 0;
    const changed = (object: KubeObject): void => this.#set(object, part, current);
    return {
      listStarted: (epoch) => void (current = epoch),
      listed: changed,
      listCompleted: (epoch, _resourceVersion, untaken) => {
        for (const [key, entry] of this.#objects) if (entry.part === part && entry.epoch !== epoch && !untaken.has(entry.uid ?? '')) this.#drop(key);
        complete();
      },
      changed,
      deleted: (object) => {
        const key = keyOf(object);
        if (this.#objects.get(key)?.uid === object.metadata.uid) this.#drop(key);
      },
      // The cache serves what it has; who must know asks for `state`.
      stateChanged: () => undefined,
    };
  }

  #set(object: KubeObject, part: number, epoch: number): void {
    const key = keyOf(object);
    const kept = this.#keep(object);
    this.#objects.set(key, { object: kept, uid: object.metadata.uid, part, epoch });
    for (const listener of this.#listeners) listener(key, kept);
  }

  #drop(key: string): void {
    this.#objects.delete(key);
    for (const listener of this.#listeners) listener(key, undefined);
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
