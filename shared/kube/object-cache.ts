import type { KubeObject } from '../api/kube-object.ts';
import type { Logger } from '../log.ts';
import type { KubeClient } from './client.ts';
import { Reflector, type ReflectorHandler, type ReflectorObserver, type ReflectorPace, type ReflectorState } from './reflector.ts';

export interface ObjectCacheOptions<T> extends ReflectorPace {
  client: KubeClient;
  path: string;
  name: string;
  logger: Logger;
  observe?: ReflectorObserver | undefined;
  /** Objects for which this is false do not exist for the cache. */
  takes?: ((object: KubeObject) => boolean) | undefined;
  /** What is kept of an object; the object itself when unset. */
  keep?: (object: KubeObject) => T;
}

type Listener<T> = (key: string, object: T | undefined) => void;

/** The few objects that steer us, held in memory by `<namespace>/<name>` and kept up to date by a watch. */
export class ObjectCache<T = KubeObject> implements ReflectorHandler {
  readonly #reflector: Reflector;
  readonly #keep: (object: KubeObject) => T;
  readonly #takes: (object: KubeObject) => boolean;
  readonly #objects = new Map<string, { object: T; uid: string | undefined; epoch: number }>();
  readonly #listeners = new Set<Listener<T>>();
  readonly #synced = Promise.withResolvers<void>();
  #epoch = 0;

  constructor(options: ObjectCacheOptions<T>) {
    this.#keep = options.keep ?? ((object) => object as T);
    this.#takes = options.takes ?? (() => true);
    this.#reflector = new Reflector({ ...options, handler: this });
  }

  /** Resolves when the first list is complete. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get state(): ReflectorState {
    return this.#reflector.state;
  }

  start(): void {
    this.#reflector.start();
  }

  /** Somebody waits: for so many milliseconds what failed is soon tried again. */
  hurry(ms: number): void {
    this.#reflector.hurry(ms);
  }

  stop(): Promise<void> {
    return this.#reflector.stop();
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

  listStarted(epoch: number): void {
    this.#epoch = epoch;
  }

  listed(object: KubeObject): void {
    this.changed(object);
  }

  listCompleted(epoch: number, _resourceVersion: string, untaken: ReadonlySet<string>): void {
    for (const [key, entry] of this.#objects) if (entry.epoch !== epoch && !untaken.has(entry.uid ?? '')) this.#drop(key);
    this.#synced.resolve();
  }

  changed(object: KubeObject): void {
    if (!this.#takes(object)) return;
    const key = keyOf(object);
    const kept = this.#keep(object);
    this.#objects.set(key, { object: kept, uid: object.metadata.uid, epoch: this.#epoch });
    for (const listener of this.#listeners) listener(key, kept);
  }

  deleted(object: KubeObject): void {
    const key = keyOf(object);
    if (this.#objects.get(key)?.uid === object.metadata.uid) this.#drop(key);
  }

  stateChanged(): void {
    // The cache serves what it has; who must know asks for `state`.
  }

  #drop(key: string): void {
    this.#objects.delete(key);
    for (const listener of this.#listeners) listener(key, undefined);
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
