import type { layoutContents, layoutModes } from '../api/sink-common.ts';
import { defaultPaths } from '../api/default-paths.ts';
import { extensionOf, serializationOf, type Serialization, type SerializedSpec } from './serialization.ts';

export type LayoutMode = (typeof layoutModes)[number];
export type LayoutContent = (typeof layoutContents)[number];

/** How the names of files and folders are made. */
export interface Filenames {
  groupInPath: 'auto' | 'always' | 'never';
  lowercaseKind: boolean;
  /** In characters, without the extension. */
  maxSegmentLength: number;
}

/** Which files an inventory becomes, with everything that the sink leaves open filled in. */
export interface Layout extends Filenames, Serialization {
  /** As the sink says; undefined: a tree of manifests when all rows are whole objects, else a document. */
  mode: LayoutMode | undefined;
  /** As the sink says. */
  content: LayoutContent | undefined;
  extension: string;
  /** As the sink says; undefined: image and version. */
  hotAttributes?: readonly string[] | undefined;
  /** Template of the path of the document. */
  document: string;
  /** Template of the path of the file of a row. */
  row: string;
  /** Template of the path of the index. */
  index: string;
  /** As the sink says; undefined: for split only. */
  hasIndex: boolean | undefined;
}

/** The fields of a sink that say where it writes to. */
export interface LaidOutSpec extends SerializedSpec {
  pathTemplate?: string | undefined;
  objectStore?: (SerializedSpec['objectStore'] & { hotAttributes?: readonly (string | undefined)[] | undefined }) | undefined;
  layout?:
    | {
        mode?: LayoutMode | undefined;
        content?: LayoutContent | undefined;
        pathTemplate?: string | undefined;
        index?: { enabled?: boolean | undefined; pathTemplate?: string | undefined } | undefined;
        filename?: Partial<{ [Field in keyof Filenames]: Filenames[Field] | undefined }> | undefined;
      }
    | undefined;
}

export function layoutOf(spec: LaidOutSpec): Layout {
  const serialization = serializationOf(spec);
  const { mode, content, pathTemplate, index, filename } = spec.layout ?? {};
  const hotAttributes = spec.objectStore?.hotAttributes?.flatMap((attribute) => attribute ?? []);
  return {
    ...serialization,
    extension: extensionOf(serialization),
    ...(hotAttributes && { hotAttributes }),
    mode,
    content,
    document: spec.pathTemplate?.trim() || (serialization.format === 'parquet' ? defaultPaths.parquet : defaultPaths.document),
    row: pathTemplate?.trim() || defaultPaths.row,
    index: index?.pathTemplate?.trim() || defaultPaths.document,
    hasIndex: index?.enabled,
    groupInPath: filename?.groupInPath ?? 'auto',
    lowercaseKind: filename?.lowercaseKind ?? true,
    maxSegmentLength: filename?.maxSegmentLength ?? 63,
  };
}

/** What is written in the end. */
export interface EffectiveLayout {
  mode: LayoutMode;
  content: LayoutContent;
  hasIndex: boolean;
}

/**
 * @param areManifests all rows, and there are some, are whole objects: where the sink says nothing, they become a tree of manifests
 */
export function effectiveLayout({ mode, content, hasIndex }: Layout, areManifests: boolean): EffectiveLayout {
  const isUpgraded = mode === undefined && areManifests;
  const inEffect = mode ?? (areManifests ? 'perResource' : 'document');
  return { mode: inEffect, content: content ?? (isUpgraded ? 'manifest' : 'item'), hasIndex: inEffect !== 'document' && (hasIndex ?? inEffect === 'split') };
}
