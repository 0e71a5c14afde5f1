import type { KnownSink } from '../lookups.ts';

/** Whose rows are written, as paths name it. */
export interface PathIdentity {
  namespace: string;
  name: string;
}

/** What a snapshot sink writes for one inventory. */
export interface SnapshotDestination {
  /** Host, repository and branch, or host and bucket. */
  place: string;
  /** The file of the inventory; for a tree the template of its files, with the placeholders of rows left in. */
  path: string;
  /** One file for each row: two inventories may share a template and still write different files. */
  isTree: boolean;
}

/** Where a snapshot sink writes an inventory; undefined where nothing can overlap, or where the sink does not say enough. */
export function snapshotDestination({ spec }: Pick<KnownSink, 'spec'>, identity: PathIdentity): SnapshotDestination | undefined {
  const address = spec.endpoint === undefined ? undefined : parseAddress(spec.endpoint);
  if (address === undefined) return undefined;
  switch (spec.type) {
    case 'git':
    case 'gitlab': {
      const branch = spec.git?.branch?.trim() || spec.gitlab?.mergeRequest?.targetBranch?.trim() || address.branch || 'main';
      const place = `${address.host}/${address.path.replace(/\.git$/, '')}#${branch}`;
      const mode = spec.layout?.mode;
      const isTree = mode === 'perResource' || mode === 'split';
      const template = isTree ? spec.layout?.pathTemplate?.trim() || '{cluster}/{sourceNamespace}/{kind}/{sourceName}{extension}' : spec.pathTemplate?.trim() || 'inventory/{namespace}/{name}{extension}';
      return { place, path: render(template, spec, identity), isTree };
    }
    case 's3':
    case 'gcs':
    case 'azureblob': {
      const [bucket = '', ...prefix] = (address.isBucket ? [address.host, address.path] : address.path.split('/')).filter((part) => part !== '');
      const path = render(spec.pathTemplate?.trim() || (formatOf(spec) === 'parquet' ? parquetTemplate : 'inventory/{namespace}/{name}.json'), spec, identity);
      return { place: `${spec.type}://${address.isBucket ? '' : `${address.host}/`}${bucket}`, path: [...prefix, path].join('/'), isTree: false };
    }
    default:
      return undefined;
  }
}

const parquetTemplate = 'inventory/cluster={cluster}/ns={namespace}/name={name}/generation={generation}.parquet';

function render(template: string, spec: KnownSink['spec'], { namespace, name }: PathIdentity): string {
  const values: Readonly<Record<string, string>> = { namespace, name, cluster: spec.cluster?.trim() || 'default', extension: `.${formatOf(spec)}` };
  const path = template.replaceAll(/\{(namespace|name|cluster|extension)\}/g, (_token, key: string) => values[key] ?? '');
  return path.split('/').filter((part) => part !== '' && part !== '.').join('/');
}

function formatOf(spec: KnownSink['spec']): string {
  return spec.serialization?.format ?? (spec.type === 'git' || spec.type === 'gitlab' ? 'yaml' : (spec.objectStore?.format ?? 'json'));
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
