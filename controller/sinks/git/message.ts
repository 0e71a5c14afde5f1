import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import { clusterLabel, documentPath } from '../../../shared/layout/document-path.ts';
import { layoutOf } from '../../../shared/layout/layout.ts';
import type { InventoryIdentity, SnapshotState } from '../contract.ts';
import { inventoryKey } from '../objects/object-state.ts';
import type { FileChanges } from './commits.ts';
import type { Commit } from './mirror.ts';

/** What placeholders of the texts of a commit stand for. */
export interface MessageValues {
  cluster: string;
  namespace: string;
  name: string;
  generation: number;
  itemCount: number;
  /** SHA-256 of the rows, in hex. */
  checksum: string;
  exportedAt: Date;
  /** `<namespace>/<name>` of the sink. */
  sink: string;
  path: string;
}

export interface MessageTemplates {
  subject: string | undefined;
  body: string | undefined;
  trailers: readonly string[];
}

/** How much changed, and the first names of it. */
export interface NamedChanges {
  added: Named;
  changed: Named;
  removed: Named;
}

export interface Named {
  count: number;
  names: readonly string[];
}

const defaultSubject = 'chore({cluster}/{namespace}/{name}): export {itemCount} items @ {checksumShort}';
/** Names of a kind of change that are listed. */
const maxNames = 10;

const inventoryTrailer = 'Kollect-Inventory';
const digestTrailer = 'Kollect-Digest';
const rowsTrailer = 'Kollect-Rows';
const installationTrailer = 'Kollect-Installation';

/** What a commit says of an inventory. */
export interface CommittedState {
  /** Undefined when it could not be told then. */
  after: SnapshotState | undefined;
  /** Uid of the installation that committed; undefined when it was not known. */
  installation: string | undefined;
}

/** What a commit for an inventory says of what is exported. */
export interface ExportFacts {
  rows: number;
  digest: string;
  exportedAt: Date;
}

/** The message of a commit for an inventory, by the templates of the sink. */
export function exportMessage(of: { spec: KollectSnapshotSinkSpec; sink: string; identity: InventoryIdentity }, { rows, digest, exportedAt }: ExportFacts, changes: NamedChanges, state: CommittedState): string {
  const { spec, sink, identity } = of;
  const { namespace, name, generation } = identity;
  const layout = layoutOf(spec);
  const path = documentPath(layout.document, layout.extension, identity);
  const values: MessageValues = { cluster: clusterLabel(identity), namespace, name, generation, itemCount: rows, checksum: digest, exportedAt, sink, path };
  return commitMessage({ subject: spec.git?.commitMessage, body: spec.git?.commitBody, trailers: spec.git?.commitTrailers ?? [] }, values, changes, inventoryKey(identity), state);
}

/** Subject and body; by default the body says what changed. Values cannot add lines. */
export function commitText({ subject, body }: MessageTemplates, values: MessageValues, changes: NamedChanges): { subject: string; body: string } {
  return { subject: filled(subject?.trim() || defaultSubject, values), body: body?.trim() ? filled(body.trim(), values) : changesText(changes) };
}

/** The whole message, of which the trailers tell what the branch holds from then on. */
export function commitMessage(templates: MessageTemplates, values: MessageValues, changes: NamedChanges, key: string, { after, installation }: CommittedState): string {
  const { subject, body } = commitText(templates, values, changes);
  const trailers = [...templates.trailers.map((trailer) => filled(trailer.trim(), values)), `${inventoryTrailer}: ${key}`, ...(installation === undefined ? [] : [`${installationTrailer}: ${installation}`]), ...(after ? [`${digestTrailer}: ${after.digest}`, `${rowsTrailer}: ${after.rows}`] : [])];
  return `${[subject, body, trailers.join('\n')].filter((part) => part !== '').join('\n\n')}\n`;
}

/** What commits, the latest first, say that the branch holds of an inventory. Nothing, once somebody else has committed since. */
export function snapshotIn(commits: readonly Commit[], key: string): CommittedState | undefined {
  for (const { message } of commits) {
    const trailers = new Map(message.trimEnd().slice(message.trimEnd().lastIndexOf('\n\n') + 2).split('\n').map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]));
    const inventory = trailers.get(inventoryTrailer);
    if (inventory === undefined) return undefined;
    if (inventory !== key) continue;
    const [digest, rows] = [trailers.get(digestTrailer), Number(trailers.get(rowsTrailer))];
    return { after: digest === undefined || !Number.isSafeInteger(rows) ? undefined : { digest, rows }, installation: trailers.get(installationTrailer) };
  }
  return undefined;
}

/** Paths in place of names, where the rows of before are not known. */
export function pathChanges({ added, changed, removed }: FileChanges): NamedChanges {
  const named = (paths: readonly string[]): Named => ({ count: paths.length, names: paths });
  return { added: named(added), changed: named(changed), removed: named(removed) };
}

function changesText(changes: NamedChanges): string {
  const parts = (['added', 'changed', 'removed'] as const).flatMap((what) => (changes[what].count > 0 ? { what, ...changes[what] } : []));
  if (parts.length === 0) return '';
  const lists = parts.map(({ what, count, names }) => {
    const shown = names.slice(0, maxNames);
    return `${what}:\n${shown.map((name) => `- ${oneLine(name)}\n`).join('')}${count > shown.length ? `- and ${count - shown.length} more\n` : ''}`;
  });
  return `${parts.map(({ what, count }) => `${count} ${what}`).join(', ')}\n\n${lists.join('\n')}`.trimEnd();
}

function filled(template: string, values: MessageValues): string {
  const texts: Readonly<Record<string, string>> = {
    cluster: values.cluster,
    namespace: values.namespace,
    name: values.name,
    generation: String(values.generation),
    exportGeneration: String(values.generation),
    itemCount: String(values.itemCount),
    checksum: values.checksum,
    checksumShort: values.checksum.slice(0, 12),
    exportedAt: values.exportedAt.toISOString(),
    sink: values.sink,
    path: values.path,
  };
  return template.replaceAll(/\{([A-Za-z]+)\}/g, (token, name: string) => (Object.hasOwn(texts, name) ? oneLine(texts[name]!) : token)).replaceAll('\0', '');
}

function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}
