import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { Row } from '../collect/row.ts';
import type { TargetRows } from '../collect/target-rows.ts';
import type { InventoryRows } from './inventory-rows.ts';
import { targetProblem, type TargetProblem } from './target-problems.ts';
import { InventoryView } from './view.ts';

/** KollectTargets, by `<namespace>/<name>`. */
interface TargetObjects {
  get(key: string): KubeObject | undefined;
}

/** All rows of all targets of a namespace. */
export class NamespaceRows implements InventoryRows {
  readonly view: InventoryView;
  readonly rollup = undefined;
  readonly #targets: TargetObjects;
  readonly #onChange: () => void;

  constructor(targets: TargetObjects, namespace: string, onChange: () => void) {
    this.#targets = targets;
    this.#onChange = onChange;
    this.view = new InventoryView(namespace, onChange);
  }

  select(): void {
    // The spec leaves no choice.
  }

  opened(target: TargetRows): void {
    this.view.addTarget(target);
  }

  closed(target: TargetRows): void {
    this.view.removeTarget(target);
  }

  row(target: TargetRows, before: Row | undefined, after: Row | undefined): void {
    this.view.rowChanged(target, before, after);
  }

  left(target: TargetRows, uid: string): void {
    this.view.rowLeft(target, uid);
  }

  takesPart(): boolean {
    return true;
  }

  targetChanged(): void {
    this.#onChange();
  }

  problems(): TargetProblem[] {
    const { namespace, targets } = this.view;
    return [...targets].flatMap(({ name }) => targetProblem(name, this.#targets.get(`${namespace}/${name}`)) ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  targetsListed(): void {
    // They were told of as they came.
  }

  close(): void {
    // Nothing is under way.
  }
}
