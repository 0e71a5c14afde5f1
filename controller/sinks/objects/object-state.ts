import { clusterLabel } from '../../../shared/layout/document-path.ts';
import type { InventoryIdentity } from '../contract.ts';

/** What is kept beside the bytes of a document, and written with them at once. */
export interface DocumentState {
  /** Whose document it is. */
  inventory: string;
  /** Uid of the installation that wrote it; undefined when that did not know its own. */
  installation: string | undefined;
  /** Names what the document says, but for the time. */
  content: string;
  /** Rows of this document. */
  rows: number;
  /** Digest of the snapshot that it is of, or a part of; undefined when that is not known. */
  digest: string | undefined;
}

/** Letters only: everything else is refused by some store, or dropped on the way to it. */
const names = { inventory: 'kollectinventory', installation: 'kollectinstallation', content: 'kollectcontent', rows: 'kollectrows', digest: 'kollectdigest' } as const;

export function metadataOf({ inventory, installation, content, rows, digest }: DocumentState): Record<string, string> {
  return {
    [names.inventory]: inventory,
    ...(installation !== undefined && { [names.installation]: installation }),
    [names.content]: content,
    [names.rows]: String(rows),
    ...(digest !== undefined && { [names.digest]: digest }),
  };
}

/** Undefined for what nobody of this project wrote. */
export function stateOf(metadata: Readonly<Record<string, string>>): DocumentState | undefined {
  const { [names.inventory]: inventory, [names.installation]: installation, [names.content]: content, [names.rows]: rows = '', [names.digest]: digest } = metadata;
  if (inventory === undefined || content === undefined || !/^\d+$/.test(rows)) return undefined;
  return { inventory, installation, content, rows: Number(rows), digest };
}

export function isEqual(one: DocumentState, other: DocumentState): boolean {
  return JSON.stringify(metadataOf(one)) === JSON.stringify(metadataOf(other));
}

/** Of an inventory in its cluster: printable ASCII. */
export function inventoryKey({ cluster, namespace, name }: InventoryIdentity): string {
  return [clusterLabel({ cluster }), namespace, name].map(encodeURIComponent).join('/');
}

/** What the documents of an inventory amount to; without a digest unless all of them are of one snapshot. */
export function together(states: readonly DocumentState[], isWhole: boolean): { rows: number; digest: string | undefined } {
  const [first] = states;
  const isOne = isWhole && states.every(({ digest }) => digest === first?.digest);
  return { rows: states.reduce((sum, { rows }) => sum + rows, 0), digest: isOne ? first?.digest : undefined };
}
