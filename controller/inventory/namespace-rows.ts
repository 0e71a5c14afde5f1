import type { Row, TargetRows } from '../collect/row-store.ts';
import type { InventoryRows } from './inventory-rows.ts';
import { InventoryView } from './view.ts';

/** All rows of all targets of a namespace. */
export class NamespaceRows implements InventoryRows {
  readonly view: InventoryView;
  readonly rollup = undefined;

  constructor(namespace: string, onChange: () => void) {
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

  targetsListed(): void {
    // They were told of as they came.
  }

  close(): void {
    // Nothing is under way.
  }
}
