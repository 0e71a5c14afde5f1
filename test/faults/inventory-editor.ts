import { dirname } from 'node:path/posix';
import { setTimeout as pause } from 'node:timers/promises';
import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import { eventually } from '../servers/eventually.ts';
import { kollectObject } from '../behaviour/collecting.ts';
import { api, createInHome, homeTargets, inventories, rollupPath } from './home.ts';
import { Deck, type Random } from './random.ts';
import type { SinkFamily, SinkPlace } from './sink-place.ts';

/** The inventory whose references are edited. The others always name all sinks. */
const edited = 'second';

/** So that what somebody else did to a sink is found soon. */
const often = { exportMinInterval: '1s' };

/** Edits what decides where rows go, and knows which places are to hold those of an inventory. */
export class InventoryEditor {
  readonly done = new Map<string, number>();
  readonly #admin: KubeClient;
  readonly #random: Random;
  readonly #places: readonly SinkPlace[];
  readonly #deck: Deck<readonly [string, () => Promise<unknown>]>;
  #refs: readonly SinkPlace[];

  constructor(admin: KubeClient, random: Random, places: readonly SinkPlace[]) {
    this.#admin = admin;
    this.#random = random;
    this.#places = places;
    this.#refs = places;
    this.#deck = new Deck(
      [
        ['drop or add references', () => this.#editRefs()],
        ['drop or add references', () => this.#editRefs()],
        ['delete and create an inventory', () => this.#recreateInventory()],
        ['suspend and resume an inventory', () => this.#suspend(`${api}/kollectinventories/${edited}`)],
        ['edit the labels of a target', () => this.#editTarget()],
        ['delete and create a target', () => this.#recreateTarget()],
        ['edit a sink', () => this.#random.pick(this.#places).editSink()],
        ['delete and create a sink', () => this.#recreateSink()],
        ['edit the namespaces of a rollup', () => this.#editRollup()],
        ['suspend and resume a rollup', () => this.#suspend(rollupPath)],
      ],
      random,
    );
  }

  /** `<namespace>/<name>` of the inventories that name the sink of a place. */
  inventoriesOf(place: SinkPlace): (keyof typeof inventories)[] {
    return (Object.keys(inventories) as (keyof typeof inventories)[]).filter((name) => name !== `home/${edited}` || this.#refs.includes(place));
  }

  async begin(): Promise<void> {
    for (const name of ['inventory', edited]) await this.#create(name, this.#places);
    const spec = { namespaceSelector: {}, dedupe: 'byResourceUID', sinkNamespace: 'home', ...refsOf(this.#places), ...often };
    await this.#admin.create(dirname(rollupPath), { ...kollectObject('KollectClusterInventory', '', 'rollup', spec), metadata: { name: 'rollup' } });
  }

  async edit(): Promise<void> {
    const [name, edit] = this.#deck.draw();
    await edit();
    this.done.set(name, (this.done.get(name) ?? 0) + 1);
  }

  /** From now on nobody looks at what sinks hold. */
  async end(): Promise<void> {
    for (const path of Object.values(inventories)) await this.#patch(path, { exportMinInterval: '0s' });
  }

  async #create(name: string, places: readonly SinkPlace[]): Promise<void> {
    await createInHome(this.#admin, 'kollectinventories', 'KollectInventory', name, { ...refsOf(places), ...often });
  }

  #patch(path: string, spec: object): Promise<unknown> {
    return this.#admin.patch(path, { type: 'merge', body: { spec } });
  }

  async #editRefs(): Promise<void> {
    this.#refs = this.#places.filter(() => this.#random.next() < 0.5);
    await this.#patch(`${api}/kollectinventories/${edited}`, refsOf(this.#refs));
  }

  async #recreateInventory(): Promise<void> {
    await this.#delete(`kollectinventories/${edited}`);
    await this.#create(edited, this.#refs);
  }

  async #suspend(path: string): Promise<void> {
    await this.#patch(path, { suspend: true });
    await pause(this.#random.below(2_000));
    await this.#patch(path, { suspend: false });
  }

  /** Rows that are to leave a sink while it is away would stay there, so it is one that all inventories name. */
  async #recreateSink(): Promise<void> {
    if (this.#refs.length > 0) await this.#random.pick(this.#refs).recreateSink();
  }

  async #editRollup(): Promise<void> {
    // A patch that merges leaves the labels of before unless they are set to nothing.
    await this.#patch(rollupPath, { namespaceSelector: { matchLabels: this.#random.pick([null, { team: 'shop' }, { team: 'bank' }]) } });
  }

  async #editTarget(): Promise<void> {
    await this.#patch(`${api}/kollecttargets/labelled`, { labelSelector: { matchLabels: { test: this.#random.pick(['yes', 'no']) } } });
  }

  async #recreateTarget(): Promise<void> {
    await this.#delete('kollecttargets/labelled');
    await createInHome(this.#admin, 'kollecttargets', 'KollectTarget', 'labelled', homeTargets['labelled']!);
  }

  async #delete(path: string): Promise<void> {
    const { metadata } = await this.#admin.get<{ metadata: { uid: string } }>(`${api}/${path}`);
    await this.#admin.delete(`${api}/${path}`);
    const isGone = (): Promise<boolean> =>
      this.#admin.get<{ metadata: { uid: string } }>(`${api}/${path}`).then((now) => now.metadata.uid !== metadata.uid, (error: unknown) => error instanceof KubeApiError && error.status === 404);
    await eventually(isGone, { timeoutMs: 300_000, what: `the end of ${path}` });
  }
}

function refsOf(places: readonly SinkPlace[]): Record<SinkFamily['refs'], string[]> {
  const named = (refs: SinkFamily['refs']): string[] => places.filter(({ family }) => family.refs === refs).map(({ name }) => name);
  return { databaseSinkRefs: named('databaseSinkRefs'), snapshotSinkRefs: named('snapshotSinkRefs'), eventSinkRefs: named('eventSinkRefs') };
}
