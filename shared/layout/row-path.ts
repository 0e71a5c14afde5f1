import { clusterLabel, type PathIdentity } from './document-path.ts';
import type { Layout } from './layout.ts';

/** What paths say of a row. */
export interface PathRow {
  targetNamespace: string;
  targetName: string;
  namespace: string;
  name: string;
  group?: string | undefined;
  kind: string;
  uid: string;
}

/**
 * Makes paths of the files of rows, always below the root: no part is empty, begins or ends with a dot, or holds what means a folder. Undefined where nothing of
 * a name is left.
 *
 * @example rowPaths(layoutOf({ type: 'git' }), identity)({ kind: 'Deployment', namespace: 'team-a', name: 'api', … }) // 'prod-west/team-a/deployment/api.yaml'
 */
export function rowPaths(layout: Layout, identity: PathIdentity): (row: PathRow) => string | undefined {
  const { extension, maxSegmentLength, groupInPath, lowercaseKind } = layout;
  const segments = layout.row.split('/').map((text) => ({ isFile: text.endsWith(extensionMark), pieces: text.replace(/\{extension\}$/, '').split(placeholder) }));
  const group = { auto: (name = '') => name, always: (name = '') => name || 'core', never: () => '' }[groupInPath];
  const ofAll = { cluster: clusterLabel(identity), namespace: identity.namespace, name: identity.name, generation: String(identity.generation), extension };
  return (row) => {
    const values: Readonly<Record<string, string>> = {
      ...ofAll,
      targetNamespace: row.targetNamespace,
      targetName: row.targetName,
      sourceNamespace: row.namespace,
      sourceName: row.name,
      group: group(row.group),
      kind: lowercaseKind ? row.kind.toLowerCase() : row.kind,
      uid: row.uid,
    };
    const path: string[] = [];
    for (const [index, { isFile, pieces }] of segments.entries()) {
      // Every other piece is the name of a placeholder.
      const text = pathSegment(pieces.map((piece, at) => (at % 2 === 0 ? piece : values[piece]!)).join(''), maxSegmentLength);
      if (text !== '') path.push(isFile ? text + extension : text);
      else if (index === segments.length - 1) return undefined;
    }
    return path.join('/');
  };
}

const extensionMark = '{extension}';
const placeholder = /\{(cluster|namespace|name|generation|extension|targetNamespace|targetName|sourceNamespace|sourceName|group|kind|uid)\}/;

/**
 * A name as one part of a path.
 *
 * @example pathSegment('system:node\\x', 63) // 'system-node-x'
 */
export function pathSegment(name: string, maxLength: number): string {
  const text = trimmed(name.trim().replaceAll(/[/\\:\p{Cc}]+|\.{2,}/gu, '-'));
  // Whole characters: half of one is no text.
  return text.length <= maxLength ? text : trimmed([...text].slice(0, maxLength).join(''));
}

function trimmed(text: string): string {
  return text.replaceAll(/^[.\-\s]+|[.\-\s]+$/g, '');
}
