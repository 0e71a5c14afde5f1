import { annotations } from '../../shared/api/annotations.ts';
import type { InitialListStatus } from '../../shared/api/collection-filter.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { CollectionState } from './collector.ts';

/** A target in whose first list the controller ended so many times in a row is not listed again. */
const fatalCrashes = 3;
/** What tells one request from the next is at the beginning, as in a time. */
const requestLength = 256;

/** The first list of a target since this process started. */
export interface InitialList {
  readonly uid: string | undefined;
  /** Monotonic milliseconds since when the target could be listed, for all that is known. */
  since: number;
  generation: number | undefined;
  /** Value of the annotation that asks for a list, as far as status keeps it. */
  request: string | undefined;
  /** Ends of a process in a row that fell into this list. */
  crashes: number;
  /** The mark that counts as a crash when the next process finds it; unset while nothing is listed. */
  startedAt: string | undefined;
  /** The mark was set once, before anything was listed. */
  begun: boolean;
  /** Later lists are not marked. */
  complete: boolean;
}

/**
 * Finds targets whose first list ends the process again and again: more objects than there is memory for, or an expression that never ends. The list is
 * marked in status while it is under way. A mark that a new process finds was left by one that had no time to take it away.
 */
export class InitialLists {
  readonly #lists = new Map<string, InitialList>();

  /** The list of a target as it is now. An edit of its spec, or a new value of the annotation, gives it another three attempts, also while no process ran. */
  of(target: KubeObject): InitialList {
    const { uid, generation, annotations: notes } = target.metadata;
    const request = notes?.[annotations.reconcile]?.slice(0, requestLength);
    const known = this.#lists.get(keyOf(target));
    const list = known?.uid === uid && known ? known : foundIn(target);
    this.#lists.set(keyOf(target), list);
    const isAsked = request !== undefined && request !== list.request;
    if (generation === list.generation && !isAsked) return list;
    if (isSuspended(list)) list.since = performance.now();
    list.generation = generation;
    list.request = request ?? list.request;
    list.crashes = 0;
    return list;
  }

  /** The target is gone. */
  forget(key: string): void {
    this.#lists.delete(key);
  }

  /** Keys of targets with a mark. */
  *marked(): Generator<string> {
    for (const [key, { startedAt }] of this.#lists) if (startedAt !== undefined) yield key;
  }
}

/** What a process that is there no more has left. */
function foundIn({ metadata, status }: KubeObject & { status?: unknown }): InitialList {
  const { initialList: left, observedGeneration } = (status ?? {}) as { initialList?: InitialListStatus; observedGeneration?: number };
  return {
    uid: metadata.uid,
    since: performance.now(),
    generation: observedGeneration,
    request: left?.reconcile,
    crashes: (left?.crashes ?? 0) + (left?.startedAt === undefined ? 0 : 1),
    startedAt: undefined,
    begun: false,
    complete: false,
  };
}

/** Whether only a person can have it listed again. */
export function isSuspended({ crashes }: InitialList): boolean {
  return crashes >= fatalCrashes;
}

/** Follows the list. One that ends otherwise than with the process, be it refused, ends the row of crashes. */
export function progress(list: InitialList, { synced, resources }: Pick<CollectionState, 'synced' | 'resources'>, now: string): void {
  const listing = resources.some((resource) => resource.listing);
  if (synced) list.complete = true;
  if (!listing) list.crashes = 0;
  list.startedAt = listing && !list.complete ? (list.startedAt ?? now) : undefined;
}

/** What status has to keep of it for the next process; nothing in the end. */
export function initialListStatus({ crashes, startedAt, request }: InitialList): InitialListStatus | undefined {
  if (startedAt === undefined && crashes === 0) return undefined;
  return { ...(startedAt === undefined ? {} : { startedAt }), crashes, ...(request === undefined ? {} : { reconcile: request }) };
}

function keyOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`;
}
