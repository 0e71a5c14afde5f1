import { jsonMembers } from '../../../shared/extract/json-members.ts';
import { clusterLabel } from '../../../shared/layout/document-path.ts';
import type { ExportRow, InventoryIdentity } from '../contract.ts';
import { rowText, type RowHead } from './row-text.ts';

/** What stands in a cell: JSON text in `attributes`, null where there is nothing. */
export type Cell = string | Date | null;

export interface Column {
  name: string;
  type: 'text' | 'time' | 'json';
  optional: boolean;
}

/** Rows as tables have them: the fields of each row, and some attributes, in columns of their own. */
export interface Table {
  /** In the order of their names. */
  columns: readonly Column[];
  /** The cells of a row, one for each column. */
  cells(row: ExportRow): Cell[];
}

/** Attributes that have columns when the sink names none. */
const defaultHotAttributes = ['image', 'version'];

/**
 * @param hotAttributes names of attributes with a column of their own, `attr_<name>`
 */
export function tableOf({ identity, exportedAt }: { identity: InventoryIdentity; exportedAt: Date }, hotAttributes: readonly string[] = defaultHotAttributes): Table {
  const ofAll = { cluster: clusterLabel(identity), inventory_namespace: identity.namespace, inventory_name: identity.name, exported_at: exportedAt };
  const hot = hotColumns(hotAttributes);
  const columns: ReadColumn[] = [...columnsOf(ofAll), ...hot.entries().map(([name, attribute]) => hotColumn(name, attribute))].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    columns,
    cells({ payload }) {
      const { head, attributes } = rowText(payload);
      const valueOf = hot.size > 0 ? memberReader(attributes) : () => undefined;
      return columns.map(({ cell }) => cell(head, attributes, valueOf));
    },
  };
}

interface ReadColumn extends Column {
  cell: (head: RowHead, attributes: string, valueOf: MemberReader) => Cell;
}

function columnsOf(ofAll: Readonly<Record<'cluster' | 'inventory_namespace' | 'inventory_name', string>> & { exported_at: Date }): ReadColumn[] {
  const text = (name: string, cell: ReadColumn['cell']): ReadColumn => ({ name, type: 'text', optional: false, cell });
  return [
    text('cluster', () => ofAll.cluster),
    text('inventory_namespace', () => ofAll.inventory_namespace),
    text('inventory_name', () => ofAll.inventory_name),
    text('target_namespace', (head) => head.targetNamespace),
    text('target_name', (head) => head.targetName),
    text('namespace', (head) => head.namespace),
    text('name', (head) => head.name),
    text('uid', (head) => head.uid),
    text('api_version', (head) => head.version),
    text('kind', (head) => head.kind),
    { ...text('group', (head) => head.group ?? null), optional: true },
    { ...text('attributes', (_head, attributes) => attributes), type: 'json' },
    { ...text('exported_at', () => ofAll.exported_at), type: 'time' },
  ];
}

function hotColumn(name: string, attribute: string): ReadColumn {
  return { name, type: 'text', optional: true, cell: (_head, _attributes, valueOf) => cellOf(valueOf(attribute)) };
}

/** The attribute of each column. Names that differ only in what a column's name cannot tell share one, that of the first. */
function hotColumns(names: readonly string[]): Map<string, string> {
  const columns = new Map<string, string>();
  for (const name of names.map((text) => text.trim()).filter((text) => text !== '')) {
    const column = `attr_${name.toLowerCase().replaceAll(/[-.]/g, '_').replaceAll(/[^a-z0-9_]/g, '') || 'unknown'}`;
    if (!columns.has(column)) columns.set(column, name);
  }
  return columns;
}

/** Gives the JSON text of an attribute; undefined when there is none. */
type MemberReader = (attribute: string) => string | undefined;

/** Large integers keep their digits, since nothing is parsed. */
function memberReader(attributes: string): MemberReader {
  const bytes = Buffer.from(attributes);
  const members = jsonMembers(bytes);
  return (attribute) => {
    const span = members?.get(attribute);
    return span && bytes.toString('utf8', span.start, span.end);
  };
}

/** A string as it is, everything else as JSON. */
function cellOf(json: string | undefined): string | null {
  if (json === undefined || json === 'null' || json === '""') return null;
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}
