import type { ApiResource } from '../../shared/kube/discovery.ts';
import type { ReflectorState } from '../../shared/kube/reflector.ts';
import type { Logger } from '../../shared/log.ts';
import type { AccessReviews } from './access-reviews.ts';
import type { ResourceWatch } from './resource-watch.ts';
import type { Subscription } from './subscription.ts';
import type { WatchShape } from './watch-shape.ts';
import { WideningWatch } from './widening-watch.ts';

/** How long a denial freezes rows before they leave: long enough to repair a role binding that somebody deleted by mistake. */
export const defaultDenialGraceMs = 3_600_000;
/** Each watch holds a connection, and memory of the API server. */
const defaultNamespaceWatches = 200;
const defaultPollMs = 300_000;
const reviewsAtATime = 8;
/** Watches that run, and denials, that are reviewed again in one pass. Further ones have their turn in the next. */
const reviewsOfAPass = 100;
const passPauseMs = 5_000;
/** A denial is reviewed again after a tenth of the time that it holds, but not sooner: who repairs a binding is not kept waiting. */
const firstPatienceMs = 1_000;
/** Scopes named in a message; the rest is counted. */
const namedScopes = 3;

export interface WatchScopesOptions {
  resource: ApiResource;
  reviews: AccessReviews;
  logger: Logger;
  /** False: every namespace is watched by itself, and a watch of all is never tried. */
  clusterWide?: boolean | undefined;
  /** Monotonic milliseconds that a denial has to hold before its rows leave; 3,600,000 when unset. */
  denialGraceMs?: number | undefined;
  /** Namespaces of the resource that are watched one by one; further ones are listed now and then. 200 when unset. */
  maxNamespaceWatches?: number | undefined;
  /** Milliseconds between two such lists; 300,000 when unset. */
  pollMs?: number | undefined;
  /** See `WideningWatchOptions`. */
  narrowMs?: number | undefined;
  /** Makes a watch of one namespace, or of all; it is not started. With `pollMs` it lists instead of watching. */
  watch: (scope: { namespace: string | undefined; shape: WatchShape; pollMs: number | undefined }, onChange: (subscriptions: Iterable<Subscription>) => void) => ResourceWatch;
  onChange: (subscriptions: Iterable<Subscription>) => void;
}

interface Denial {
  verbs: readonly string[];
  /** Monotonic milliseconds. */
  since: number;
  /** Its rows have left. */
  expelled: boolean;
}

/** One namespace, or all of them: watched, or denied. */
interface Scope {
  namespace: string | undefined;
  watch?: WideningWatch | undefined;
  /** Monotonic milliseconds of the last review. */
  reviewedAt: number;
  /** Listed now and then. */
  polled?: boolean | undefined;
  denial?: Denial | undefined;
}

/**
 * The watches of one resource for all targets that collect it: one of the whole cluster where we may, else one for each namespace that somebody wants.
 * What is granted is reviewed about every minute, because a watch that is open goes on without rights. What is denied is asked for again until it is
 * granted. Its rows stay as they are, and leave when the denial has held for the grace period.
 */
export class WatchScopes {
  readonly resource: ApiResource;
  readonly #options: WatchScopesOptions;
  readonly #subscriptions = new Set<Subscription>();
  readonly #scopes = new Map<string | undefined, Scope>();
  #mode: 'cluster' | 'namespaces' | undefined;
  /** Since when a watch of everything is denied. */
  #confinedSince: number | undefined;
  #arranging: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WatchScopesOptions) {
    this.#options = options;
    this.resource = options.resource;
  }

  get idle(): boolean {
    return this.#subscriptions.size === 0;
  }

  add(subscription: Subscription): void {
    this.#subscriptions.add(subscription);
    // What runs already feeds it from now on.
    for (const name of this.#mode === 'cluster' ? [undefined] : subscription.effectiveNamespaces) this.#scopes.get(name)?.watch?.add(subscription);
    this.#arrange();
  }

  remove(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    for (const { watch } of this.#scopes.values()) watch?.remove(subscription);
    this.#arrange();
  }

  /** Namespaces joined, left, or select other objects than before. */
  namespacesChanged(subscription: Subscription, changed: readonly string[]): void {
    if (!this.resource.namespaced) return;
    const everywhere = this.#scopes.get(undefined)?.watch;
    if (everywhere && changed.length > 0) everywhere.relist(subscription, changed);
    for (const name of changed) {
      const watch = this.#scopes.get(name)?.watch;
      if (watch?.subscriptions.has(subscription)) watch.relist(subscription, [name]);
    }
    if (!everywhere) this.#arrange();
  }

  /** A subscription wants what its watches have passed by. */
  relist(subscription: Subscription): void {
    for (const { watch } of this.#of(subscription) ?? []) watch?.relist(subscription);
  }

  /**
   * The worst of what the watches of a subscription are in. `Synced` with reason `Forbidden`: all that we may read is there, and what we may not read
   * has left for good.
   */
  state(subscription: Subscription): ReflectorState {
    if (this.#mode === undefined) return { phase: 'Pending', since: 0 };
    const scopes = this.#of(subscription);
    if (!scopes) return { phase: 'Syncing', since: 0 };
    const denied = scopes.flatMap((scope) => {
      const denial = denialOf(scope);
      return denial ? [{ namespace: scope.namespace, denial }] : [];
    });
    const forbidden = { reason: 'Forbidden', message: this.#denials(denied) };
    if (denied.some(({ denial }) => !denial.expelled) || (denied.length > 0 && denied.length === scopes.length)) {
      return { phase: 'Failed', ...forbidden, since: denied.reduce((since, { denial }) => Math.min(since, denial.since), Infinity) };
    }
    const states = scopes.flatMap(({ watch }) => (watch ? [watch.stateOf(subscription)] : []));
    const worst = states.find(({ phase }) => phase === 'Failed') ?? states.find(({ phase }) => phase !== 'Synced') ?? states[0] ?? { phase: 'Synced', since: 0 };
    return denied.length > 0 && worst.phase === 'Synced' ? { ...worst, ...forbidden } : worst;
  }

  /** Whether the rows are all that there is: every list is complete, or its rows have left for good. */
  isSynced(subscription: Subscription): boolean {
    return this.#of(subscription)?.every(({ watch, denial }) => (denial ? denial.expelled : watch!.isSynced(subscription))) === true;
  }

  /**
   * Where rows of a subscription may not be all that there is, because lists are denied or fail: namespaces, or everywhere. Undefined while lists are still
   * under way.
   */
  frozen(subscription: Subscription): readonly string[] | 'everywhere' | undefined {
    const scopes = this.#of(subscription);
    if (!scopes) return undefined;
    const frozen = scopes.filter(({ watch, denial }) => (denial ? !denial.expelled : !watch!.isSynced(subscription)));
    if (!frozen.every(({ watch, denial }) => denial || watch!.stateOf(subscription).phase === 'Failed')) return undefined;
    if (frozen.length > 0 && frozen.length === scopes.length) return 'everywhere';
    return frozen.map(({ namespace }) => namespace!);
  }

  /** Namespaces of a subscription that are listed now and then, and how often. */
  polled(subscription: Subscription): { namespaces: number; everyMs: number } {
    const polled = (this.#of(subscription) ?? []).filter((scope) => scope.polled && scope.watch);
    return { namespaces: polled.length, everyMs: this.#pollMs };
  }

  /** States of all watches, and of those that are denied. */
  *states(): Generator<ReflectorState> {
    for (const { watch, denial } of this.#scopes.values()) {
      if (denial) yield { phase: 'Failed', reason: 'Forbidden', since: denial.since };
      else if (watch) yield* watch.states();
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const watches = [...this.#scopes.values()].map(({ watch }) => watch?.stop());
    this.#scopes.clear();
    this.#subscriptions.clear();
    await Promise.all([...watches, this.#arranging]);
  }

  /** Undefined while it is not decided. */
  #of(subscription: Subscription): Scope[] | undefined {
    if (this.#mode === undefined) return undefined;
    const scopes: Scope[] = [];
    for (const name of this.#mode === 'cluster' ? [undefined] : subscription.effectiveNamespaces) {
      const scope = this.#scopes.get(name);
      if (!scope || (!scope.denial && !scope.watch?.subscriptions.has(subscription))) return undefined;
      scopes.push(scope);
    }
    return scopes;
  }

  /** Makes the watches what is wanted and allowed; one pass at a time. */
  #arrange(): void {
    this.#again = true;
    this.#arranging ??= this.#arrangeAll().finally(() => {
      this.#arranging = undefined;
      if (this.#again && !this.#stopped) this.#arrange();
    });
  }

  async #arrangeAll(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      // Changes that come together are looked at once.
      await Promise.resolve();
      const mode = await this.#chooseMode();
      const verdicts = await this.#ask(mode === 'cluster' ? [undefined] : this.#wantedNamespaces());
      if (!this.#stopped) this.#apply(mode, verdicts);
    }
    if (!this.#stopped) this.#plan();
  }

  async #chooseMode(): Promise<'cluster' | 'namespaces'> {
    if (!this.resource.namespaced) return 'cluster';
    if (this.#options.clusterWide === false) return 'namespaces';
    const verbs = await this.#denied(undefined, this.#confinedSince);
    if (verbs !== undefined) this.#confinedSince = verbs.length === 0 ? undefined : (this.#confinedSince ?? performance.now());
    return verbs === undefined ? (this.#mode ?? 'cluster') : verbs.length === 0 ? 'cluster' : 'namespaces';
  }

  async #ask(namespaces: Iterable<string | undefined>): Promise<Map<string | undefined, readonly string[]>> {
    const verdicts = new Map<string | undefined, readonly string[]>();
    const pending: (string | undefined)[] = [];
    const due: Scope[] = [];
    for (const namespace of namespaces) {
      const scope = this.#scopes.get(namespace);
      // A watch of everything is decided on with the mode.
      if (namespace === undefined && this.resource.namespaced) verdicts.set(namespace, []);
      else if (!scope || refusalOf(scope)) pending.push(namespace);
      else {
        verdicts.set(namespace, scope.denial?.verbs ?? []);
        if (this.#dueAt(scope) <= performance.now()) due.push(scope);
      }
    }
    due.sort((a, b) => a.reviewedAt - b.reviewedAt);
    for (const { namespace } of due.slice(0, reviewsOfAPass)) pending.push(namespace);
    const work = async (): Promise<void> => {
      while (pending.length > 0 && !this.#stopped) {
        const namespace = pending.pop();
        const scope = this.#scopes.get(namespace);
        const verbs = await this.#denied(namespace, scope?.denial?.since);
        if (scope) scope.reviewedAt = performance.now();
        verdicts.set(namespace, verbs ?? scope?.denial?.verbs ?? []);
      }
    };
    await Promise.all(Array.from({ length: reviewsAtATime }, work));
    return verdicts;
  }

  /** When rights are to be looked at again. */
  #dueAt({ reviewedAt, denial }: Scope): number {
    return reviewedAt + (denial ? this.#patienceMs(denial.since) : this.#options.reviews.ageMs);
  }

  #patienceMs(since: number): number {
    return Math.min(this.#options.reviews.ageMs, Math.max(firstPatienceMs, (performance.now() - since) / 10));
  }

  /** Undefined when the API server cannot tell. */
  async #denied(namespace: string | undefined, deniedSince: number | undefined): Promise<readonly string[] | undefined> {
    try {
      return await this.#options.reviews.denied(this.resource, namespace, deniedSince === undefined ? undefined : this.#patienceMs(deniedSince) / 2);
    } catch (error) {
      this.#options.logger.warn('access could not be reviewed', { resource: this.resource.plural, namespace, error: String(error) });
      return undefined;
    }
  }

  #wantedNamespaces(): Set<string> {
    const wanted = new Set<string>();
    for (const subscription of this.#subscriptions) for (const name of subscription.effectiveNamespaces) wanted.add(name);
    return wanted;
  }

  #apply(mode: 'cluster' | 'namespaces', verdicts: ReadonlyMap<string | undefined, readonly string[]>): void {
    const before = this.#mode;
    this.#mode = mode;
    const wanted = mode === 'cluster' ? new Set([undefined]) : this.#wantedNamespaces();
    // First, so that no subscription is ever fed by two watches: the older event would win.
    for (const [name, { watch }] of this.#scopes) {
      if (!this.idle && (wanted as Set<string | undefined>).has(name)) continue;
      this.#scopes.delete(name);
      void watch?.stop();
    }
    const affected = new Set<Subscription>(before === mode ? [] : this.#subscriptions);
    for (const name of this.idle ? [] : wanted) {
      const verbs = verdicts.get(name);
      // Joined while others were asked for.
      if (verbs === undefined) this.#again = true;
      else for (const subscription of this.#applyScope(name, verbs)) affected.add(subscription);
    }
    if (affected.size > 0) this.#options.onChange(affected);
  }

  /** Gives those whose state changed. */
  #applyScope(namespace: string | undefined, verbs: readonly string[]): Iterable<Subscription> {
    let scope = this.#scopes.get(namespace);
    if (!scope) this.#scopes.set(namespace, (scope = { namespace, reviewedAt: performance.now() }));
    const wanting = [...this.#subscriptions].filter((subscription) => namespace === undefined || subscription.includes(namespace));
    if (verbs.length > 0) {
      void scope.watch?.stop();
      scope.watch = undefined;
      const changed = scope.denial === undefined;
      scope.denial = { since: performance.now(), expelled: false, ...scope.denial, verbs };
      return this.#expel(scope, wanting) || changed ? wanting : [];
    }
    const healed = scope.denial !== undefined;
    scope.denial = undefined;
    const isNew = scope.watch === undefined;
    if (isNew) scope.polled = namespace !== undefined && this.#namespaceWatches >= (this.#options.maxNamespaceWatches ?? defaultNamespaceWatches);
    const pollMs = scope.polled ? this.#pollMs : undefined;
    const watch = (scope.watch ??= new WideningWatch({
      watch: (shape, onChange) => this.#options.watch({ namespace, shape, pollMs }, onChange),
      onChange: (subscriptions) => this.#watchChanged(namespace, subscriptions),
      narrowMs: this.#options.narrowMs,
    }));
    const joined = wanting.filter((subscription) => !watch.subscriptions.has(subscription));
    for (const subscription of watch.subscriptions) if (!wanting.includes(subscription)) watch.remove(subscription);
    for (const subscription of joined) watch.add(subscription);
    if (isNew) watch.start();
    return healed ? wanting : joined;
  }

  /** True when rows left, or when nothing will come of this scope any more. */
  #expel({ namespace, denial }: Scope, wanting: readonly Subscription[]): boolean {
    if (!denial || performance.now() - denial.since < this.#graceMs) return false;
    const first = !denial.expelled;
    denial.expelled = true;
    let rows = 0;
    for (const subscription of wanting) rows += subscription.rows.removeNamespace(namespace ?? '');
    if (rows > 0) this.#options.logger.warn('rows left because access was denied for too long', { resource: this.resource.plural, namespace, rows });
    return first;
  }

  #watchChanged(namespace: string | undefined, subscriptions: Iterable<Subscription>): void {
    const scope = this.#scopes.get(namespace);
    if (scope && refusalOf(scope)) {
      this.#options.reviews.refused(this.resource, namespace);
      this.#arrange();
    }
    this.#options.onChange(subscriptions);
  }

  get #namespaceWatches(): number {
    return this.#scopes.values().filter(({ watch, polled }) => watch && !polled).toArray().length;
  }

  get #pollMs(): number {
    return this.#options.pollMs ?? defaultPollMs;
  }

  get #graceMs(): number {
    return this.#options.denialGraceMs ?? defaultDenialGraceMs;
  }

  /** The next look at rights: when what is known of them is old enough to be asked for again, or a grace period ends. */
  #plan(): void {
    clearTimeout(this.#timer);
    if (this.idle) return;
    const now = performance.now();
    let at = now + this.#options.reviews.ageMs;
    if (this.#mode === 'namespaces' && this.#confinedSince !== undefined) at = Math.min(at, now + this.#patienceMs(this.#confinedSince));
    for (const scope of this.#scopes.values()) {
      // What is overdue had no turn in this pass.
      const dueAt = this.#dueAt(scope);
      at = Math.min(at, dueAt > now ? dueAt : now + passPauseMs);
      if (scope.denial && !scope.denial.expelled) at = Math.min(at, Math.max(now, scope.denial.since + this.#graceMs));
    }
    this.#timer = setTimeout(() => this.#arrange(), (at - now) * (1 + Math.random() / 10) + 1);
  }

  #denials(scopes: readonly { namespace: string | undefined; denial: Denial }[]): string {
    const { plural, group, namespaced } = this.resource;
    const verbs = [...new Set(scopes.flatMap(({ denial }) => denial.verbs))].sort().join(' or ');
    const names = scopes.map(({ namespace }) => namespace);
    const rest = names.length - namedScopes;
    const where = !namespaced
      ? 'at cluster scope'
      : `in namespace ${names.slice(0, namedScopes).map((name) => `"${name}"`).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
    return `Forbidden: the controller may not ${verbs} ${plural}${group && `.${group}`} ${where}`;
  }
}

/** A watch that is refused is denied, before a review says more. */
function denialOf(scope: Scope): Denial | undefined {
  if (scope.denial) return scope.denial;
  const refused = refusalOf(scope);
  return refused && { verbs: ['list', 'watch'], since: refused.since, expelled: false };
}

function refusalOf({ watch }: Scope): ReflectorState | undefined {
  return watch?.states().find(isForbidden);
}

function isForbidden({ phase, reason }: ReflectorState): boolean {
  return phase === 'Failed' && (reason === 'Forbidden' || reason === 'HTTP 403');
}
