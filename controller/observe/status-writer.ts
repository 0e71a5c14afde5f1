import type { Condition } from '../../shared/api/meta.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { patchStatus } from '../../shared/kube/status.ts';
import { KubeApiError } from '../../shared/kube/client.ts';
import type { Logger } from '../../shared/log.ts';

/** Counts, times and the words of messages may be this late; conditions never are. Keeps a busy inventory at one write in ten seconds. */
const defaultGapMs = 10_000;
const firstRetryMs = 2_000;
const lastRetryMs = 120_000;

interface StatusBody {
  conditions?: readonly Condition[] | undefined;
}

interface Pending {
  object: KubeObject;
  status: StatusBody;
  /** What the API server has, as far as we know. */
  written: StatusBody | undefined;
  writtenAt: number;
  /** A write failed since: it may have arrived all the same. */
  isUncertain: boolean;
  timer: NodeJS.Timeout | undefined;
  writing: boolean;
  failures: number;
  /** Monotonic milliseconds before which nothing is written, however urgent. */
  heldUntil: number;
  /** Those who wait until the API server has what was submitted last. */
  waiting: (() => void)[];
}

/** Writes status when it changed: at once when a condition did, else with a pause between two writes. After a failure all wait for the next attempt. */
export class StatusWriter {
  readonly #client: KubeClient;
  readonly #plural: string;
  readonly #logger: Logger;
  readonly #onTransition: (object: KubeObject, before: Condition | undefined, after: Condition) => void;
  readonly #gapMs: number;
  readonly #objects = new Map<string, Pending>();

  constructor(options: {
    client: KubeClient;
    plural: string;
    logger: Logger;
    /** A condition appeared or changed status or reason. */
    onTransition: (object: KubeObject, before: Condition | undefined, after: Condition) => void;
    /** Least time between two writes for one object unless a condition changes; 10 s when unset. */
    gapMs?: number | undefined;
  }) {
    this.#client = options.client;
    this.#plural = options.plural;
    this.#logger = options.logger;
    this.#onTransition = options.onTransition;
    this.#gapMs = options.gapMs ?? defaultGapMs;
  }

  submit(object: KubeObject, status: StatusBody): void {
    const key = object.metadata.uid ?? '';
    let pending = this.#objects.get(key);
    if (!pending) {
      const written = object['status'] as StatusBody | undefined;
      pending = { object, status: written ?? {}, written, writtenAt: -Infinity, isUncertain: false, timer: undefined, writing: false, failures: 0, heldUntil: -Infinity, waiting: [] };
      this.#objects.set(key, pending);
    }
    for (const condition of status.conditions ?? []) {
      const before = find(pending.status, condition.type);
      if (before?.status !== condition.status || before.reason !== condition.reason) this.#onTransition(object, before, condition);
    }
    pending.object = object;
    pending.status = status;
    this.#arm(pending);
  }

  /** Writes what was submitted without a pause. Resolves when the API server has it, or when nobody wants it any more. */
  async flush(object: KubeObject): Promise<void> {
    const pending = this.#objects.get(object.metadata.uid ?? '');
    if (!pending || (!pending.writing && isWritten(pending))) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    pending.waiting.push(resolve);
    if (!pending.writing) this.#arm(pending);
    await promise;
  }

  /** The status last submitted, or else the one that the object carries. */
  latest(object: KubeObject): unknown {
    return this.#objects.get(object.metadata.uid ?? '')?.status ?? object['status'];
  }

  forget(uid: string): void {
    const pending = this.#objects.get(uid);
    clearTimeout(pending?.timer);
    this.#objects.delete(uid);
    for (const resolve of pending?.waiting ?? []) resolve();
  }

  stop(): void {
    for (const uid of this.#objects.keys()) this.forget(uid);
  }

  #arm(pending: Pending): void {
    if (pending.writing) return;
    if (isWritten(pending)) {
      for (const resolve of pending.waiting.splice(0)) resolve();
      return;
    }
    const urgent = pending.waiting.length > 0 || outline(pending.status) !== outline(pending.written);
    if (pending.timer && !urgent) return;
    const at = Math.max(pending.heldUntil, urgent ? -Infinity : pending.writtenAt + this.#gapMs);
    clearTimeout(pending.timer);
    pending.timer = setTimeout(() => void this.#write(pending), Math.max(0, at - performance.now()));
  }

  async #write(pending: Pending): Promise<void> {
    pending.timer = undefined;
    pending.writing = true;
    const { object, status } = pending;
    try {
      await patchStatus(this.#client, this.#plural, object, status);
      pending.written = status;
      pending.writtenAt = performance.now();
      pending.isUncertain = pending.writing = false;
      pending.failures = 0;
      this.#arm(pending);
    } catch (error) {
      pending.isUncertain = true;
      pending.writing = false;
      const uid = object.metadata.uid ?? '';
      if (error instanceof KubeApiError && error.status === 404) {
        this.forget(uid);
        return;
      }
      const delayMs = Math.min(lastRetryMs, firstRetryMs * 2 ** pending.failures++) * (0.5 + Math.random() / 2);
      // What the API server refuses it will refuse again; one that was away may be back.
      pending.heldUntil = performance.now() + (isRefusal(error) ? delayMs : Math.min(delayMs, firstRetryMs));
      this.#logger.warn('status could not be written, will be repeated', {
        object: `${object.kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`,
        error,
        retryInMs: Math.round(delayMs),
      });
      if (this.#objects.has(uid)) pending.timer = setTimeout(() => void this.#write(pending), delayMs);
    }
  }
}

/** What must not be late. */
function outline(status: StatusBody | undefined): string {
  return JSON.stringify(status?.conditions?.map((condition) => [condition.type, condition.status, condition.reason, condition.observedGeneration]));
}

function isWritten({ status, written, isUncertain }: Pending): boolean {
  return !isUncertain && JSON.stringify(status) === JSON.stringify(written);
}

/** Whether the API server said no to this very request, as it would to the same one. */
function isRefusal(error: unknown): boolean {
  return error instanceof KubeApiError && error.status >= 400 && error.status < 500 && ![408, 409, 429].includes(error.status);
}

function find(status: StatusBody | undefined, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}
