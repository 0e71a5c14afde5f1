import { setTimeout as pause } from 'node:timers/promises';
import { canonicalJson } from '../../shared/extract/canonical-json.ts';
import type { JsonObject } from '../../shared/extract/json.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { api, createInHome } from './home.ts';
import type { Random } from './random.ts';
import type { CommitFault, TcpProxy } from './tcp-proxy.ts';

/** A fault of a destination; tells whether it struck. It is over when this resolves. */
export type Strike = () => Promise<boolean>;

export type NamedStrike = readonly [name: string, strike: Strike];

/** Name of this cluster in all sinks, and of one whose rows lie beside ours. */
export const here = 'here';
export const elsewhere = 'elsewhere';

/** What the sinks of a family are called. */
export interface SinkFamily {
  plural: string;
  kind: string;
  /** Field of inventories that names them. */
  refs: 'databaseSinkRefs' | 'snapshotSinkRefs' | 'eventSinkRefs';
}

export interface PlaceOptions {
  name: string;
  admin: KubeClient;
  random: Random;
  proxy: TcpProxy;
}

/** A row of an inventory, `<namespace>/<name>`, in the one way in which the rows of all places are told. */
export function rowOf(inventory: string, row: unknown): string {
  return `${inventory} ${canonicalJson(row as JsonObject)}`;
}

/** A destination behind a proxy, the sink in front of it, and what can happen to them. */
export abstract class SinkPlace {
  /** Of the sink and of its Secret. */
  readonly name: string;
  readonly proxy: TcpProxy;
  protected readonly admin: KubeClient;
  protected readonly random: Random;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ name, admin, random, proxy }: PlaceOptions) {
    this.name = name;
    this.admin = admin;
    this.random = random;
    this.proxy = proxy;
  }

  abstract readonly family: SinkFamily;
  /** Faults that take nothing away. */
  abstract get harmless(): readonly NamedStrike[];
  /** Faults that take rows away or change them. */
  abstract get destructive(): readonly NamedStrike[];
  /** All rows of this cluster that the destination holds, in order, see `rowOf`. `inventories` are those that name the sink. */
  abstract rows(inventories: readonly string[]): Promise<string[]>;
  /** An edit of the sink that leads to the same place. */
  abstract edit(): object;
  protected abstract get spec(): object;
  protected abstract get secret(): Record<string, string>;

  async createSink(): Promise<void> {
    await this.admin.create('/api/v1/namespaces/home/secrets', { metadata: { name: this.name }, stringData: this.secret });
    await createInHome(this.admin, this.family.plural, this.family.kind, this.name, { cluster: here, ...this.spec });
  }

  /** Tells the sink what the credentials are by now. */
  protected async updateSecret(): Promise<void> {
    await this.admin.patch(`/api/v1/namespaces/home/secrets/${this.name}`, { type: 'merge', body: { stringData: this.secret } });
  }

  /** The sink vanishes with its Secret, and comes again. */
  async recreateSink(): Promise<void> {
    await this.admin.delete(`${api}/${this.family.plural}/${this.name}`);
    await this.admin.delete(`/api/v1/namespaces/home/secrets/${this.name}`);
    await this.moment(2_000);
    await this.createSink();
  }

  async editSink(): Promise<void> {
    await this.admin.patch(`${api}/${this.family.plural}/${this.name}`, { type: 'merge', body: { spec: this.edit() } });
  }

  /** One thing after another. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.catch(() => undefined).then(work);
    this.#last = mine;
    return await mine;
  }

  /** Something is written again, unless that takes long: a sink that fails again and again is tried less and less often. */
  async recover(): Promise<void> {
    const before = this.proxy.commits;
    await comesTrue(() => this.proxy.commits > before);
  }

  /** The next commit meets this. Tells whether one came. */
  async breakCommit(kind: CommitFault): Promise<boolean> {
    this.proxy.breakCommit(kind);
    const came = await comesTrue(() => !this.proxy.waits);
    this.proxy.heal();
    return came;
  }

  /** The next commit is under way until the proxy delivers it. Tells whether one came. */
  async holdCommit(): Promise<boolean> {
    this.proxy.breakCommit('delay');
    const came = await comesTrue(() => this.proxy.holds);
    this.proxy.heal();
    return came;
  }

  protected moment(mostMs: number): Promise<void> {
    return pause(100 + this.random.below(mostMs));
  }

  protected async refuse(): Promise<boolean> {
    const before = this.proxy.connections;
    this.proxy.refuses = true;
    this.proxy.cut();
    const came = await comesTrue(() => this.proxy.connections > before);
    await this.moment(1_500);
    this.proxy.refuses = false;
    return came;
  }

  protected async late(): Promise<boolean> {
    const came = await this.holdCommit();
    // The client has gone and comes again while the server still waits for the first commit.
    this.proxy.cut();
    await this.moment(4_000);
    this.proxy.deliver();
    return came;
  }

  protected async drip(): Promise<boolean> {
    const before = this.proxy.sent;
    this.proxy.drips = true;
    const came = await comesTrue(() => this.proxy.sent > before);
    await this.moment(1_500);
    this.proxy.drips = false;
    return came;
  }

  protected async silence(): Promise<boolean> {
    const before = this.proxy.sent;
    this.proxy.freeze();
    const came = await comesTrue(() => this.proxy.sent > before);
    await this.moment(3_000);
    this.proxy.thaw();
    return came;
  }
}

/** Whether it comes true before the time is over. */
export async function comesTrue(what: () => boolean | Promise<boolean>, ms = 15_000): Promise<boolean> {
  const end = performance.now() + ms;
  const now = async (): Promise<boolean> => await what();
  while (performance.now() < end) {
    if (await now().catch(() => false)) return true;
    await pause(20);
  }
  return false;
}
