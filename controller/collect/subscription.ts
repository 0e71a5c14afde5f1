import { annotations, labels } from '../../shared/api/annotations.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { canonicalRow } from '../../shared/extract/canonical-json.ts';
import { KollectError } from '../../shared/errors.ts';
import type { CompiledProfile, Extraction } from '../../shared/extract/compile-profile.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import { objectKey } from '../../shared/kube/object-key.ts';
import type { ResourceRows } from './resource-rows.ts';
import { compileObjectSelection, matchedNamespaces } from './selection.ts';
import { shapeOf, type WatchShape } from './watch-shape.ts';
import type { CollectionSpec, NamespaceCeiling, NamespaceDefaults, NamespaceFacts, NamespaceLookup, ObjectSelection } from './selection.ts';

export interface SubscriptionOptions {
  rows: ResourceRows;
  spec: CollectionSpec;
  profile: CompiledProfile;
  /** Cluster-scoped kinds have no namespace gate. */
  resource: Pick<ApiResource, 'group' | 'plural' | 'namespaced'>;
  namespaces: NamespaceLookup;
  defaults?: NamespaceDefaults | undefined;
}

/** Objects remembered that cannot become rows. */
const unreadableObjects = 1_000;

/** What one target wants of one resource, and how an object becomes its row. */
export class Subscription {
  readonly rows: ResourceRows;
  /** What a watch has to carry. */
  readonly shape: WatchShape;
  readonly #spec: CollectionSpec;
  readonly #profile: CompiledProfile;
  readonly #resource: SubscriptionOptions['resource'];
  readonly #lookup: NamespaceLookup;
  readonly #defaults: NamespaceDefaults | undefined;
  readonly #selects: ObjectSelection;
  readonly #unreadable = new Set<string>();
  /** Namespaces of which a list was complete; `undefined` for one of everything. */
  readonly #listed = new Set<string | undefined>();
  /** Names only: what the spec selects, whatever the scope allows. */
  #matched: ReadonlySet<string> = new Set();
  /** What of each namespace decides about its objects. */
  #effective: ReadonlyMap<string, string> = new Map();
  /** Why the last attribute that failed did; holds no value of the object. */
  lastFailure: string | undefined;

  constructor(options: SubscriptionOptions) {
    this.rows = options.rows;
    this.shape = shapeOf(options.spec, options.profile);
    this.#spec = options.spec;
    this.#profile = options.profile;
    this.#resource = options.resource;
    this.#lookup = options.namespaces;
    this.#defaults = options.defaults;
    this.#selects = compileObjectSelection(options.spec);
  }

  /** Whether objects of this namespace are wanted at all. */
  includes(namespace: string): boolean {
    return this.#effective.has(namespace);
  }

  /** What the spec selects. */
  get matchedNamespaces(): readonly string[] {
    return [...this.#matched];
  }

  /** What of it the scope allows: where is collected. */
  get effectiveNamespaces(): readonly string[] {
    return [...this.#effective.keys()];
  }

  /**
   * Recomputes the namespaces. Rows of namespaces that are not selected, or not allowed, any more leave at once. `changed` holds those that joined, or
   * whose labels or annotations may now select other objects: only a list can tell which.
   */
  resolveNamespaces(existing: Iterable<NamespaceFacts>, ceiling: NamespaceCeiling | undefined): { changed: string[]; left: string[] } {
    const before = this.#effective;
    this.#matched = matchedNamespaces(this.#spec, this.rows.namespace, existing, this.#defaults);
    const effective = new Set(this.#matched.values().filter((name) => ceiling === undefined || ceiling.allows(name)));
    const byRule = this.#spec.resourceRules?.some((rule) => rule.namespaceSelector !== undefined) === true;
    this.#effective = new Map([...effective].map((name) => [name, decidingFacts(this.#lookup(name), byRule)]));
    const changed = [...this.#effective].filter(([name, facts]) => before.get(name) !== facts).map(([name]) => name);
    // Another subscription may have filled the rows before this one.
    const held = this.#resource.namespaced ? this.rows.namespaces() : [];
    const left = [...new Set([...before.keys(), ...held])].filter((name) => !effective.has(name));
    for (const name of left) this.rows.removeNamespace(name);
    return { changed, left };
  }

  /**
   * A list of a namespace, or of everything, is complete. True when it is the first of its kind: what it does not name may be there from before an edit, and
   * nobody watched it.
   */
  listed(namespace: string | undefined): boolean {
    const isFirst = namespace === undefined ? this.#listed.size === 0 : !this.#listed.has(namespace) && !this.#listed.has(undefined);
    this.#listed.add(namespace);
    return isFirst;
  }

  /** The object exists as given. */
  apply(object: KubeObject): void {
    const { metadata } = object;
    const namespace = metadata.namespace ?? '';
    const uid = this.keyOf(object);
    if (this.#unreadable.size > 0) this.#unreadable.delete(uid);
    if (!this.#wants(object, namespace)) {
      this.rows.remove(namespace, uid);
      return;
    }
    if (!this.rows.admits(namespace, uid)) return;
    const { group, version, kind } = this.#profile.gvk;
    const { namespace: targetNamespace, name: targetName } = this.rows;
    let payload: string;
    let failures: Extraction['failures'];
    try {
      const { attributes, ...extraction } = this.#profile.extract(object);
      ({ failures } = extraction);
      const last = failures.at(-1);
      if (last) this.lastFailure = `attribute "${last.attribute}": ${last.message}`;
      payload = canonicalRow({ targetNamespace, targetName, namespace, name: metadata.name, group, version, kind, uid, attributes });
    } catch (error) {
      if (!(error instanceof KollectError) || error.code !== 'KOL_EXTRACT_SIZE') throw error;
      this.lastFailure = error.message;
      this.rows.refuse(namespace, uid);
      if (this.#unreadable.size < unreadableObjects) this.#unreadable.add(uid);
      return;
    }
    const { name, resourceVersion = '' } = metadata;
    this.rows.upsert({ namespace, name, uid, resourceVersion, failures: failures.length, payload });
  }

  /** The object is gone. */
  remove(object: KubeObject): void {
    const uid = this.keyOf(object);
    this.#unreadable.delete(uid);
    this.rows.remove(object.metadata.namespace ?? '', uid);
  }

  /** What its row is kept by. */
  keyOf(object: KubeObject): string {
    return objectKey(object, this.#resource);
  }

  /** Whether an object is wanted, as far as its metadata tells; undefined when it depends on more. */
  wantsByMetadata(object: KubeObject): boolean | undefined {
    if (this.#spec.resourceRules?.some(({ matchPolicy }) => matchPolicy?.trim())) return undefined;
    return this.#wants(object, object.metadata.namespace ?? '');
  }

  /** True when what an object says now may have been no row: its row, if it has one, is an older one. */
  cannotRead(uid: string): boolean {
    return this.#unreadable.has(uid) || this.#unreadable.size >= unreadableObjects;
  }

  #wants(object: KubeObject, namespace: string): boolean {
    if (!this.#resource.namespaced) return this.#selects(object, undefined);
    return this.#effective.has(namespace) && this.#selects(object, this.#lookup(namespace));
  }
}

function decidingFacts(namespace: NamespaceFacts | undefined, byRule: boolean): string {
  const consent = [namespace?.labels?.[labels.watch], namespace?.annotations?.[annotations.namespaceWatch]];
  return JSON.stringify(byRule ? [consent, namespace?.labels] : consent);
}
