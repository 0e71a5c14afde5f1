import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import { eventually } from '../servers/eventually.ts';
import { defineGateways, definitionPath, gatewayPath } from './gateways.ts';
import { Deck, type Random } from './random.ts';

export const mapPath = (namespace?: string): string => `/api/v1${namespace === undefined ? '' : `/namespaces/${namespace}`}/configmaps`;
const rbac = '/apis/rbac.authorization.k8s.io/v1';

export interface WriterOptions {
  admin: KubeClient;
  random: Random;
  /** Where it writes. */
  namespaces: readonly string[];
  profilePath: string;
  /** Where the token of the ServiceAccount stands, and how to get another one. */
  tokenFile: string;
  tokenPath: string;
  /** ServiceAccount that is granted and denied what targets collect. */
  account: { namespace: string; name: string };
  revoked: (token: string) => void;
}

interface Written {
  uid: string;
  name: string;
  namespace: string;
  path: (namespace?: string) => string;
}

/** Makes a cluster change in every way that decides about rows, and knows which rows that may remove. */
export class ClusterWriter {
  readonly done = new Map<string, number>();
  /** By uid: deletions, and changes of labels, that are under way or done. */
  readonly deletions = new Map<string, number>();
  readonly relabelings = new Map<string, number>();
  /** By namespace, changes of labels. */
  readonly namespaceRelabelings = new Map<string, number>();
  definitionDeletions = 0;
  readonly #options: WriterOptions;
  readonly #objects: Written[] = [];
  readonly #rare: Deck<() => Promise<void>>;
  #count = 0;
  #token = '';
  #isGranted = false;
  #isDefined = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#rare = new Deck(
      [() => this.#labelNamespace(), () => this.#labelNamespace(), () => this.#editProfile(), () => this.#revoke(), () => this.#deleteDefinition(), () => this.#rotateToken()],
      options.random,
    );
  }

  /** How many different rare things it does. */
  static readonly rareThings = ['label a namespace', 'edit the profile', 'revoke', 'grant', 'delete the definition', 'create the definition', 'rotate the token'];

  /** What has to be there before a controller starts. */
  async begin(): Promise<void> {
    await this.#rotateToken();
    await this.#grant();
    await this.#define();
  }

  /** One change. Every so often one that concerns many objects. */
  async write(): Promise<void> {
    if (this.#count % 20 === 19) {
      this.#count++;
      // What is gone for long keeps everything that waits for complete lists from being seen.
      if (this.#isGranted && this.#isDefined) await this.#rare.draw()();
      else await this.end();
    } else await this.writeOne();
  }

  /** One change of one object. */
  async writeOne(): Promise<void> {
    this.#count++;
    const { random } = this.#options;
    const chance = random.next();
    if (this.#objects.length < 40 || chance < 0.25) await this.#create(`o${this.#count}`);
    else if (chance < 0.6) await this.#update();
    else if (chance < 0.75) await this.#delete();
    else if (chance < 0.85) await this.#recreate();
    else await this.#relabel();
  }

  /** Brings back what was taken away. */
  async end(): Promise<void> {
    if (!this.#isGranted) await this.#grant();
    if (!this.#isDefined) await this.#define();
  }

  /** Objects of every kind that are newer than anything else. */
  async sentinel(name: string): Promise<void> {
    const namespace = this.#options.namespaces[0]!;
    for (const path of [mapPath, gatewayPath]) await this.#createAt(path, namespace, name);
  }

  async #create(name: string): Promise<void> {
    const { random, namespaces } = this.#options;
    const path = this.#isDefined && random.next() < 0.3 ? gatewayPath : mapPath;
    await this.#createAt(path, random.pick(namespaces), name);
  }

  async #createAt(path: Written['path'], namespace: string, name: string): Promise<void> {
    const { random, admin } = this.#options;
    const body = { ...(path === gatewayPath ? { apiVersion: 'shop.example/v1', kind: 'Gateway' } : {}), metadata: { name, namespace, labels: { test: random.pick(['yes', 'no']) } }, data: this.#data() };
    const { metadata } = await admin.create<{ metadata: { uid: string } }>(path(namespace), body);
    this.#objects.push({ uid: metadata.uid, name, namespace, path });
    this.#note('create');
  }

  async #update(): Promise<void> {
    await this.#patch(this.#any(), { data: this.#data() });
    this.#note('update');
  }

  async #delete(object = this.#any()): Promise<void> {
    add(this.deletions, object.uid);
    this.#objects.splice(this.#objects.indexOf(object), 1);
    await this.#options.admin.delete(`${object.path(object.namespace)}/${object.name}`);
    this.#note('delete');
  }

  async #recreate(): Promise<void> {
    const object = this.#any();
    await this.#delete(object);
    await this.#createAt(object.path, object.namespace, object.name);
    this.#note('recreate');
  }

  async #relabel(): Promise<void> {
    const object = this.#any();
    add(this.relabelings, object.uid);
    await this.#patch(object, { metadata: { labels: { test: this.#options.random.pick(['yes', 'no']) } } });
    this.#note('relabel');
  }

  #patch({ path, namespace, name }: Written, body: object): Promise<unknown> {
    return this.#options.admin.patch(`${path(namespace)}/${name}`, { type: 'merge', body });
  }

  #any(): Written {
    return this.#options.random.pick(this.#objects);
  }

  #data(): Record<string, string> {
    const { random } = this.#options;
    return { value: `${random.below(1_000)} grün € 😀`, extra: `${random.below(10)}` };
  }

  async #labelNamespace(): Promise<void> {
    const { random, admin, namespaces } = this.#options;
    const namespace = random.pick(namespaces);
    add(this.namespaceRelabelings, namespace);
    await admin.patch(`/api/v1/namespaces/${namespace}`, { type: 'merge', body: { metadata: { labels: { team: random.pick(['shop', 'shop', 'bank']) } } } });
    this.#note('label a namespace');
  }

  async #editProfile(): Promise<void> {
    const { admin, profilePath, random } = this.#options;
    const name = `extra${random.below(1_000)}`;
    const attributes = [
      { name: 'value', path: '$.data.value' },
      { name, path: random.pick(['$.data.extra', 'cel:object.data.extra + "!"']), optional: true },
    ];
    await admin.patch(profilePath, { type: 'merge', body: { spec: { attributes } } });
    this.#note('edit the profile');
  }

  async #revoke(): Promise<void> {
    await this.#options.admin.delete(`${rbac}/clusterrolebindings/collected`);
    this.#isGranted = false;
    this.#note('revoke');
  }

  async #grant(): Promise<void> {
    const { admin, account } = this.#options;
    await admin.create(`${rbac}/clusterrolebindings`, {
      metadata: { name: 'collected' },
      subjects: [{ kind: 'ServiceAccount', ...account }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'collected' },
    });
    this.#isGranted = true;
    this.#note('grant');
  }

  async #deleteDefinition(): Promise<void> {
    this.definitionDeletions++;
    this.#isDefined = false;
    for (const object of this.#objects.filter(({ path }) => path === gatewayPath)) this.#objects.splice(this.#objects.indexOf(object), 1);
    const { admin } = this.#options;
    await admin.delete(definitionPath);
    await eventually(() => admin.get(definitionPath).then(() => false, isNotFound), { what: 'the end of the definition' });
    this.#note('delete the definition');
  }

  async #define(): Promise<void> {
    const { admin, namespaces } = this.#options;
    await defineGateways(admin, namespaces[0]!);
    this.#isDefined = true;
    this.#note('create the definition');
  }

  async #rotateToken(): Promise<void> {
    const { admin, tokenFile, tokenPath, revoked } = this.#options;
    const { status } = await admin.create<{ status: { token: string } }>(tokenPath, { spec: { expirationSeconds: 7_200 } });
    await writeFile(tokenFile, status.token);
    if (this.#token !== '') {
      revoked(this.#token);
      this.#note('rotate the token');
    }
    this.#token = status.token;
    // Two tokens of one second are the same one.
    await pause(1_000);
  }

  #note(what: string): void {
    add(this.done, what);
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function isNotFound(error: unknown): boolean {
  return error instanceof KubeApiError && error.status === 404;
}
