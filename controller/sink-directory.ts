import type { KubeObject } from '../shared/api/kube-object.ts';
import type { SinkStatus } from '../shared/api/sink-common.ts';
import { KollectError } from '../shared/errors.ts';
import type { ObjectCache } from '../shared/kube/object-cache.ts';
import type { OpenSink } from './inventory/sink-connection.ts';
import type { SinkChanged, SinkDirectory, SinkObstacle } from './inventory/sink-directory.ts';
import { checkObject } from './object-check.ts';
import type { SinkFamily } from './sinks/contract.ts';
import { openSink, type OpenSinkOptions, type SinkObject } from './sinks/runtime/open-sink.ts';
import type { SecretPoll } from './sinks/runtime/secret-poll.ts';
import type { ReadSecret, SecretObject } from './sinks/runtime/secrets.ts';
import { SinkGate } from './sinks/runtime/sink-gate.ts';

interface Runtime extends Omit<OpenSinkOptions, 'sink' | 'installation'> {
  installation: () => Promise<string | undefined>;
  poll: SecretPoll;
}

/** Kind of the sink objects of a family. */
export const sinkKinds = {
  snapshot: 'KollectSnapshotSink',
  database: 'KollectDatabaseSink',
  event: 'KollectEventSink',
} as const satisfies Record<SinkFamily, string>;

/** A sink that is not open any more is remembered for so long: namespaces delete sinks, Secrets and inventories in any order. */
const rememberedMs = 300_000;

/** What a sink is opened with. */
interface Ingredients {
  object: SinkObject;
  secrets: ReadonlyMap<string, SecretObject>;
}

/** How a sink was opened last. */
interface Former {
  ingredients: Ingredients;
  /** Open at the moment. */
  users: number;
  timer: NodeJS.Timeout | undefined;
}

/** Finds sinks among the watched objects and opens them through the sink runtime. */
export class CachedSinkDirectory implements SinkDirectory {
  readonly #caches: Record<SinkFamily, ObjectCache<KubeObject>>;
  readonly #runtime: Runtime;
  /** One for each server that is open, or that somebody waits for. */
  readonly #gates = new Map<string, { gate: SinkGate; users: number }>();
  readonly #formers = new Map<string, Former>();

  readonly #listed = new Set<SinkFamily>();

  constructor(caches: Record<SinkFamily, ObjectCache<KubeObject>>, runtime: Runtime) {
    this.#caches = caches;
    this.#runtime = runtime;
    for (const [family, cache] of Object.entries(caches) as [SinkFamily, ObjectCache<KubeObject>][]) void cache.synced.then(() => this.#listed.add(family));
  }

  intervalOf(family: SinkFamily, namespace: string, name: string): string | undefined {
    const spec = this.#caches[family].get(`${namespace}/${name}`)?.['spec'] as { exportMinInterval?: string } | undefined;
    return spec?.exportMinInterval;
  }

  obstacle(family: SinkFamily, namespace: string, name: string): SinkObstacle | undefined {
    const found = this.#find(family, namespace, name);
    if (found instanceof KollectError) return { reason: found.reason as SinkObstacle['reason'], message: found.message };
    const verified = verdictOf(found);
    return verified?.status === 'False' ? { reason: 'SinkUnreachable', message: `its last connection test failed: ${verified.message}` } : undefined;
  }

  /** The sink object, or why there is none. One that was not listed yet may exist. */
  #find(family: SinkFamily, namespace: string, name: string): KubeObject | KollectError {
    const cache = this.#caches[family];
    const found = cache.get(`${namespace}/${name}`);
    if (found) return found;
    const title = `${sinkKinds[family]} "${name}" in namespace "${namespace}"`;
    if (this.#listed.has(family)) return new KollectError('KOL_SINK_NOT_FOUND', `no ${title}`);
    const { reason, message } = cache.state;
    if (reason === 'Forbidden') return new KollectError('KOL_SINK_FORBIDDEN', `${title} cannot be read: ${message ?? reason}`);
    return new KollectError('KOL_SINK_LOOKUP', `${title} cannot be read: ${message ?? 'the first list is not complete'}`);
  }

  async open(family: SinkFamily, namespace: string, name: string, rotated?: () => void): Promise<OpenSink> {
    const kind = sinkKinds[family];
    const raw = this.#find(family, namespace, name);
    if (raw instanceof KollectError) throw raw;
    const checked = checkObject<SinkObject>(kind, raw, this.#runtime.policy);
    if (!checked.object) throw new KollectError('KOL_SINK_CONFIG', `${kind} "${name}": ${checked.message}`);
    const secrets = new Map<string, SecretObject>();
    const readSecret: ReadSecret = async (secretNamespace, secretName) => {
      const secret = await this.#runtime.readSecret(secretNamespace, secretName);
      if (secret) secrets.set(`${secretNamespace}/${secretName}`, secret);
      return secret;
    };
    return await this.#openWith(`${family}/${namespace}/${name}`, { object: checked.object, secrets }, readSecret, rotated);
  }

  async openFormer(family: SinkFamily, namespace: string, name: string): Promise<OpenSink | undefined> {
    const key = `${family}/${namespace}/${name}`;
    const ingredients = this.#formers.get(key)?.ingredients;
    return ingredients && (await this.#openWith(key, ingredients, async (secretNamespace, secretName) => ingredients.secrets.get(`${secretNamespace}/${secretName}`)));
  }

  async #openWith(key: string, ingredients: Ingredients, readSecret: ReadSecret, rotated?: () => void): Promise<OpenSink> {
    const { object } = ingredients;
    const installation = await this.#runtime.installation();
    const { sink, backend, granularity, server, fingerprint, place, refusesLateWrites, secretVersions } = await openSink({ ...this.#runtime, readSecret, installation, sink: object });
    this.#sweep();
    let entry = this.#gates.get(server);
    if (entry === undefined) this.#gates.set(server, (entry = { gate: new SinkGate(backend.capabilities.concurrency), users: 0 }));
    const held = entry;
    held.users++;
    const former = this.#remember(key, ingredients);
    const { poll } = this.#runtime;
    // A Secret that is gone ends nothing: what it held may be good for long.
    const endPoll = rotated && poll.use(secretVersions, (version) => version !== undefined && rotated());
    let open = true;
    const close = async (): Promise<void> => {
      if (open) {
        open = false;
        endPoll?.();
        held.users--;
        this.#release(key, former);
        this.#sweep();
      }
      await sink.close();
    };
    return { sink: { ...sink, close }, type: backend.type, cluster: object.spec.cluster?.trim() ?? '', granularity, refusesLateWrites, fingerprint, place, queue: held.gate, isCurrent: () => poll.areCurrent(secretVersions) };
  }

  #remember(key: string, ingredients: Ingredients): Former {
    const former = this.#formers.get(key) ?? { ingredients, users: 0, timer: undefined };
    this.#formers.set(key, former);
    clearTimeout(former.timer);
    former.ingredients = ingredients;
    former.users++;
    return former;
  }

  #release(key: string, former: Former): void {
    if (--former.users > 0) return;
    former.timer = setTimeout(() => this.#formers.delete(key), rememberedMs);
    former.timer.unref();
  }

  /** Drops the gates that nobody needs: whoever opens the server next begins with a new one. */
  #sweep(): void {
    for (const [server, { gate, users }] of this.#gates) if (users === 0 && gate.isIdle) this.#gates.delete(server);
  }

  onChange(listener: (family: SinkFamily, namespace: string, name: string, change: SinkChanged) => void): void {
    for (const family of Object.keys(this.#caches) as SinkFamily[]) {
      const known = new Map<string, ReturnType<typeof versionOf>>();
      // A first change of status is no edit of a sink that is known already.
      for (const object of this.#caches[family].list()) known.set(`${object.metadata.namespace}/${object.metadata.name}`, versionOf(object));
      this.#caches[family].onChange((key, object) => {
        const before = known.get(key);
        const now = object && versionOf(object);
        if (now) known.set(key, now);
        else known.delete(key);
        const edited = before?.generation !== now?.generation;
        if (!edited && before?.verified === now?.verified) return;
        const slash = key.indexOf('/');
        listener(family, key.slice(0, slash), key.slice(slash + 1), edited ? 'edited' : now?.verified === 'True' ? 'verified' : 'unverified');
      });
    }
  }
}

/** What the last connection test found. */
function verdictOf({ status }: KubeObject): { status: string; message: string } | undefined {
  return (status as SinkStatus | undefined)?.conditions?.find(({ type }) => type === 'ConnectionVerified');
}

/** What of a sink may change how, or whether, it is written to. */
function versionOf(object: KubeObject): { generation: string; verified: string | undefined } {
  return { generation: `${object.metadata.uid}/${object.metadata.generation}`, verified: verdictOf(object)?.status };
}
