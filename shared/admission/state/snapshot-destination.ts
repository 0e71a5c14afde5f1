import { clusterLabel } from '../../layout/document-path.ts';
import { layoutOf } from '../../layout/layout.ts';
import type { KnownSink } from '../lookups.ts';

/** Whose rows are written, as paths name it. */
export interface PathIdentity {
  namespace: string;
  name: string;
}

/** Where a snapshot sink writes to. */
export interface SnapshotPlace {
  /** Host, repository and branch, or host and bucket. */
  place: string;
  /** Folder below it that all paths begin with. */
  folder: string;
  /** One file for each row: two inventories may share a template and still write different files. */
  isTree: boolean;
}

/** The place that a snapshot sink writes to; undefined where nothing can overlap, or where the sink does not say enough. */
export function snapshotPlace({ spec }: Pick<KnownSink, 'spec'>): SnapshotPlace | undefined {
  if (spec.endpoint === undefined || spec.type === 'http') return undefined;
  const address = parseAddress(spec.endpoint);
  if (address === undefined) return undefined;
  if (isGit(spec)) {
    const branch = spec.git?.branch?.trim() || spec.gitlab?.mergeRequest?.targetBranch?.trim() || address.branch || 'main';
    const mode = spec.layout?.mode;
    return { place: `${address.host}/${address.path.replace(/\.git$/, '')}#${branch}`, folder: '', isTree: mode === 'perResource' || mode === 'split' };
  }
  const [bucket = '', ...folder] = (address.isBucket ? [address.host, address.path] : address.path.split('/')).filter((part) => part !== '');
  return { place: `${spec.type}://${address.isBucket ? '' : `${address.host}/`}${bucket}`, folder: folder.join('/'), isTree: false };
}

/**
 * What a sink calls the file of an inventory; for a tree the template of its files, with the placeholders of rows left in. Read once for all inventories of
 * the sink, which may be thousands, as a template may have thousands of characters.
 */
export function snapshotPaths({ spec }: Pick<KnownSink, 'spec'>, { folder, isTree }: SnapshotPlace): (identity: PathIdentity) => string {
  const layout = layoutOf(spec);
  const values: Readonly<Record<string, string>> = { namespace: marks.namespace, name: marks.name, cluster: clusterLabel({ cluster: spec.cluster ?? '' }), extension: layout.extension };
  const template = `${folder === '' ? '' : `${folder}/`}${isTree ? layout.row : layout.document}`.replaceAll(/\{(namespace|name|cluster|extension)\}/g, (_token, key: string) => values[key] ?? '');
  // Names are neither empty nor single dots: what is tidy before they are filled in is tidy afterwards. Every other part is a mark.
  const parts = tidied(template).split(/([\ue000\ue001])/);
  return (identity) => {
    let path = parts[0] ?? '';
    for (let index = 1; index < parts.length; index += 2) path += `${parts[index] === marks.name ? identity.name : identity.namespace}${parts[index + 1]}`;
    return path;
  };
}

/** Stand for what each inventory fills in. Characters for private use, which no path has. */
const marks = { namespace: '\ue000', name: '\ue001' } as const;

/** Without empty parts and single dots. */
function tidied(path: string): string {
  return path.split('/').filter((part) => part !== '' && part !== '.').join('/');
}

function isGit({ type }: KnownSink['spec']): boolean {
  return type === 'git' || type === 'gitlab';
}

interface Address {
  host: string;
  /** Without slashes at its ends. */
  path: string;
  branch: string | undefined;
  /** The host is the bucket: `s3://bucket/prefix` or `bucket/prefix`. */
  isBucket: boolean;
}

/** A URL, git's `user@host:path`, or `bucket/prefix`. Who logs in, the scheme and default ports do not make another place. */
function parseAddress(endpoint: string): Address | undefined {
  const text = endpoint.trim();
  const scp = /^(?:[^@/\s]+@)?(\[[^\]]+\]|[^/:\s]+):(?!\/\/)(.*)$/.exec(text);
  if (scp !== null) return withBranch(scp[1] ?? '', scp[2] ?? '', false);
  const url = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/@]*@)?([^/#]*)([^]*)$/i.exec(text);
  if (url === null) return text === '' ? undefined : withBranch(text.split('/', 1)[0] ?? '', text.slice(text.indexOf('/') + 1 || text.length), true);
  const scheme = (url[1] ?? '').toLowerCase();
  const host = (url[2] ?? '').replace(defaultPorts[scheme] ?? /$^/, '');
  return withBranch(host, url[3] ?? '', bucketSchemes.has(scheme));
}

const defaultPorts: Readonly<Record<string, RegExp>> = { http: /:80$/, https: /:443$/, ssh: /:22$/, git: /:9418$/ };
const bucketSchemes: ReadonlySet<string> = new Set(['s3', 'gs', 'gcs', 'azblob']);

function withBranch(host: string, rest: string, isBucket: boolean): Address {
  const [beforeFragment = '', fragment = ''] = rest.split('#', 2);
  // What follows may be a credential, and the place is quoted in messages.
  const [path = ''] = beforeFragment.split('?', 1);
  const branch = /(?:^|&)branch=([^&]*)/.exec(fragment)?.[1];
  return { host: host.toLowerCase(), path: path.replaceAll(/^\/+|\/+$/g, ''), branch: branch || undefined, isBucket };
}
