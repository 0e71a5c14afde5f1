import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import { eventually } from '../servers/eventually.ts';
import { api, createInHome, homeTargets } from './home.ts';
import { Deck, type Random } from './random.ts';

/** Inventories that are edited, and the sinks that they may name. `inventory` always keeps all of them. */
const edited = 'second';

/** Edits what decides where rows go, and knows which tables are to hold those of an inventory. */
export class InventoryEditor {
  readonly done = new Map<string, number>();
  readonly #admin: KubeClient;
  readonly #random: Random;
  readonly #sinks: readonly string[];
  readonly #deck: Deck<readonly [string, () => Promise<unknown>]>;
  #refs: readonly string[];

  constructor(admin: KubeClient, random: Random, sinks: readonly string[]) {
    this.#admin = admin;
    this.#random = random;
    this.#sinks = sinks;
    this.#refs = sinks;
    this.#deck = new Deck(
      [
        ['drop or add references', () => this.#editRefs()],
        ['drop or add references', () => this.#editRefs()],
        ['delete and create an inventory', () => this.#recreateInventory()],
        ['suspend and resume an inventory', () => this.#suspend()],
        ['edit the labels of a target', () => this.#editTarget()],
        ['delete and create a target', () => this.#recreateTarget()],
        ['edit a sink', () => this.#editSink()],
      ],
      random,
    );
  }

  /** Inventories, by the name of a sink that they name. */
  inventoriesOf(sink: string): string[] {
    return ['inventory', ...(this.#refs.includes(sink) ? [edited] : [])];
  }

  async begin(): Promise<void> {
    for (const name of ['inventory', edited]) await this.#create(name, this.#sinks);
  }

  async edit(): Promise<void> {
    const [name, edit] = this.#deck.draw();
    await edit();
    this.done.set(name, (this.done.get(name) ?? 0) + 1);
  }

  /** From now on nobody looks at what sinks hold. */
  async end(): Promise<void> {
    for (const name of ['inventory', edited]) await this.#patch(`kollectinventories/${name}`, { exportMinInterval: '0s' });
  }

  async #create(name: string, databaseSinkRefs: readonly string[]): Promise<void> {
    // So that what somebody else did to a table is found soon.
    await createInHome(this.#admin, 'kollectinventories', 'KollectInventory', name, { databaseSinkRefs, exportMinInterval: '1s' });
  }

  #patch(path: string, spec: object): Promise<unknown> {
    return this.#admin.patch(`${api}/${path}`, { type: 'merge', body: { spec } });
  }

  async #editRefs(): Promise<void> {
    this.#refs = this.#sinks.filter(() => this.#random.next() < 0.5);
    await this.#patch(`kollectinventories/${edited}`, { databaseSinkRefs: this.#refs });
  }

  async #recreateInventory(): Promise<void> {
    await this.#delete(`kollectinventories/${edited}`);
    await this.#create(edited, this.#refs);
  }

  async #suspend(): Promise<void> {
    await this.#patch(`kollectinventories/${edited}`, { suspend: true });
    await new Promise((resolve) => setTimeout(resolve, this.#random.below(2_000)));
    await this.#patch(`kollectinventories/${edited}`, { suspend: false });
  }

  async #editTarget(): Promise<void> {
    await this.#patch('kollecttargets/labelled', { labelSelector: { matchLabels: { test: this.#random.pick(['yes', 'no']) } } });
  }

  async #recreateTarget(): Promise<void> {
    await this.#delete('kollecttargets/labelled');
    await createInHome(this.#admin, 'kollecttargets', 'KollectTarget', 'labelled', homeTargets['labelled']!);
  }

  async #editSink(): Promise<void> {
    await this.#patch(`kollectdatabasesinks/${this.#random.pick(this.#sinks)}`, { options: { application_name: `chaos-${this.#random.below(100)}` } });
  }

  async #delete(path: string): Promise<void> {
    const { metadata } = await this.#admin.get<{ metadata: { uid: string } }>(`${api}/${path}`);
    await this.#admin.delete(`${api}/${path}`);
    const isGone = (): Promise<boolean> =>
      this.#admin.get<{ metadata: { uid: string } }>(`${api}/${path}`).then((now) => now.metadata.uid !== metadata.uid, (error: unknown) => error instanceof KubeApiError && error.status === 404);
    await eventually(isGone, { timeoutMs: 300_000, what: `the end of ${path}` });
  }
}
