import { canonicalJson } from '../../../shared/extract/canonical-json.ts';
import { KollectError } from '../../../shared/errors.ts';
import { clusterLabel, documentPath } from '../../../shared/layout/document-path.ts';
import { effectiveLayout, type EffectiveLayout, type Layout } from '../../../shared/layout/layout.ts';
import { rowPaths } from '../../../shared/layout/row-path.ts';
import type { ExportRow, InventoryIdentity } from '../contract.ts';
import { compressed } from './compression.ts';
import type { Contents } from './document.ts';
import { writeDocument } from './formats.ts';
import { indentedJson } from './indented-json.ts';
import { envelopeStart, schemaVersion } from './json-document.ts';
import { rowText } from './row-text.ts';
import { manifestKey, manifestText } from './whole-object.ts';
import { yamlRow, yamlValue } from './yaml.ts';

/** A file that an inventory becomes. */
export interface InventoryFile {
  path: string;
  /** Equal when the content is, but for the time of the export. */
  version: string;
  content(): AsyncIterable<Uint8Array>;
  /** Whether a file that is there says the same, at another time. Absent: only equal content is. */
  saysSame?(there: Uint8Array): boolean;
}

/** What an inventory is made of, and how. */
export interface InventoryContents extends Omit<Contents, 'part'> {
  layout: Layout;
}

/** Whether rows are whole objects, and as which attribute; undefined when they are not, and where the layout does not ask. */
export function wholeObjects({ layout, rows }: Pick<InventoryContents, 'layout' | 'rows'>): string | undefined {
  if (layout.mode !== undefined) return undefined;
  const [first] = rows;
  const key = first && manifestKey(first.payload);
  return key !== undefined && rows.every(({ payload }) => manifestKey(payload) === key) ? key : undefined;
}

/** The document of an inventory. */
export function documentFile({ layout, ...contents }: InventoryContents): InventoryFile {
  const path = documentPath(layout.document, layout.extension, contents.identity);
  const isEnvelope = layout.format === 'json';
  const head = (text: string): string => text.replace(/"exportedAt":"[^"]*"/, '');
  const start = isEnvelope ? head(envelopeStart(contents)) : '';
  return {
    path,
    version: `${contents.checksum} ${contents.identity.generation} ${contents.rows.length}`,
    content: () => writeDocument(layout, contents),
    // The envelope names the checksum of all that follows.
    ...(isEnvelope && layout.compression === 'none' && { saysSame: (there) => head(Buffer.from(there.subarray(0, 1_024)).toString('utf8')).startsWith(start) }),
  };
}

/** Makes the file of a row. Throws `KOL_SINK_CONFIG` for a row that cannot be one. */
export function rowFiles(layout: Layout, identity: InventoryIdentity, { content }: Pick<EffectiveLayout, 'content'>): (row: ExportRow) => InventoryFile {
  const pathOf = rowPaths(layout, identity);
  return (row) => {
    const path = pathOf(rowText(row.payload).head);
    if (path === undefined) throw new KollectError('KOL_SINK_CONFIG', `the row ${JSON.stringify(row.name)} has no path by the template ${JSON.stringify(layout.row)}: use another placeholder, such as {uid}`);
    return { path, version: row.hash, content: () => bytesOf(textOf(row.payload, layout, content), layout) };
  };
}

/** The list of the files of a tree. */
export function indexFile({ layout, identity, exportedAt, rows, checksum }: InventoryContents, paths: readonly string[]): InventoryFile {
  const text = (at: string): string => {
    const index = { schemaVersion, itemCount: rows.length, checksum, exportedAt: at, cluster: clusterLabel(identity), paths };
    // In this order, whatever the format.
    const json = `{${Object.entries(index).map(([key, value]) => `${JSON.stringify(key)}:${canonicalJson(value as never)}`).join(',')}}`;
    return layout.format === 'yaml' ? yamlValue(json) : layout.format === 'ndjson' ? `${json}\n` : indentedJson(json);
  };
  const withoutTime = (there: Uint8Array): string => Buffer.from(there).toString('utf8').replace(/(exportedAt"?: ?)"?[0-9TZ:.-]*"?/, '$1');
  return {
    path: documentPath(layout.index, layout.extension, identity),
    version: `${checksum} ${rows.length}`,
    content: () => bytesOf(text(`${exportedAt.toISOString().slice(0, 19)}Z`), layout),
    ...(layout.compression === 'none' && { saysSame: (there) => withoutTime(there) === withoutTime(Buffer.from(text('')))}),
  };
}

/** Which layout the rows get, and all files of them. Throws `KOL_SINK_CONFIG` where two would have one path. */
export function inventoryFiles(contents: InventoryContents): { effective: EffectiveLayout; files: InventoryFile[] } {
  const { layout, rows, identity } = contents;
  const effective = effectiveLayout(layout, wholeObjects(contents) !== undefined);
  if (effective.mode === 'document') return { effective, files: [documentFile(contents)] };
  const files = rows.map(rowFiles(layout, identity, effective));
  if (effective.hasIndex) files.unshift(indexFile(contents, files.map(({ path }) => path)));
  const paths = new Set<string>();
  for (const { path } of files) {
    if (paths.has(path)) throw new KollectError('KOL_SINK_CONFIG', `two rows, or a row and the index, have the path ${JSON.stringify(path)}: add a placeholder to spec.layout.pathTemplate that tells them apart, such as {uid} or {group}`);
    paths.add(path);
  }
  return { effective, files };
}

function textOf(payload: string, { format }: Layout, content: EffectiveLayout['content']): string {
  if (content === 'item') return format === 'yaml' ? yamlRow(payload) : format === 'ndjson' ? `${payload}\n` : indentedJson(payload);
  const { attributes } = rowText(payload);
  const json = content === 'manifest' ? manifestText(payload) : attributes === 'null' ? '{}' : attributes;
  return format === 'yaml' ? yamlValue(json) : format === 'ndjson' ? `${json}\n` : indentedJson(json);
}

async function* bytesOf(text: string, { compression }: Layout): AsyncGenerator<Uint8Array> {
  const plain = (async function* () {
    yield Buffer.from(text);
  })();
  yield* compression === 'gzip' || compression === 'zstd' ? compressed(plain, compression) : plain;
}
