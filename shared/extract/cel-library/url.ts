import { CelFault } from '../cel-fault.ts';
import type { Library } from './library-function.ts';

/** The parts of an absolute URL or an absolute path, as Go's net/url reads them: nothing is resolved or completed. */
export class CelUrl {
  readonly scheme: string;
  /** With its port. */
  readonly host: string;
  readonly path: string;
  readonly query: string;

  constructor(parts: Pick<CelUrl, 'scheme' | 'host' | 'path' | 'query'>) {
    this.scheme = parts.scheme;
    this.host = parts.host;
    this.path = parts.path;
    this.query = parts.query;
  }
}

const maxLength = 8192;

/** @throws CelFault when the text is neither an absolute URL nor an absolute path; the message does not repeat it */
function parseUrl(text: string): CelUrl {
  // A check of the whole text, then a reading without the fragment: both must succeed.
  read(text, true);
  return read(text.split('#', 1)[0] as string, false);
}

/** @param strict without a scheme, two slashes begin a path and no host */
function read(text: string, strict: boolean): CelUrl {
  // Control characters hide what a text says.
  // eslint-disable-next-line no-control-regex
  if (text === '' || text.length > maxLength || /[\u0000-\u001f\u007f]/.test(text) || text.startsWith(':')) throw fault();
  const [, scheme = ''] = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text) ?? [];
  const afterScheme = scheme === '' ? text : text.slice(scheme.length + 1);
  const mark = afterScheme.indexOf('?');
  const [rest, query] = mark < 0 ? [afterScheme, ''] : [afterScheme.slice(0, mark), afterScheme.slice(mark + 1)];
  const lower = scheme.toLowerCase();
  if (!rest.startsWith('/')) {
    if (text === '*') return new CelUrl({ scheme: '', host: '', path: '*', query: '' });
    if (scheme === '') throw fault();
    // Opaque, such as mailto:somebody@example.com.
    return new CelUrl({ scheme: lower, host: '', path: '', query });
  }
  const hasAuthority = rest.startsWith('//') && (scheme !== '' || (!strict && !rest.startsWith('///')));
  if (!hasAuthority) return new CelUrl({ scheme: lower, host: '', path: checkEscapes(rest), query });
  const slash = rest.indexOf('/', 2);
  const authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash);
  return new CelUrl({ scheme: lower, host: hostOf(authority, lower), path: slash < 0 ? '' : checkEscapes(rest.slice(slash)), query });
}

function hostOf(authority: string, scheme: string): string {
  const at = authority.lastIndexOf('@');
  if (at >= 0 && !/^[\w.:~!$&'()*+,;=%@-]*$/.test(checkEscapes(authority.slice(0, at)))) throw fault();
  const host = authority.slice(at + 1);
  if (host.startsWith('[')) {
    const [, address = '', port = ''] = /^\[([^\]]*)\](.*)$/.exec(host) ?? [];
    if (!/^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%25[^\]]+)?$/.test(address) || !isPort(port)) throw fault();
    return host.replace('%25', '%');
  }
  if (host.includes('[')) throw fault();
  const isWeb = scheme === 'http' || scheme === 'https';
  const colon = isWeb ? host.indexOf(':') : host.lastIndexOf(':');
  if (colon >= 0 && !isPort(host.slice(colon))) throw fault();
  // A host may only escape what is beyond ASCII.
  if (/%(?![89a-fA-F][0-9a-fA-F])/.test(host) || /[ "\\^`{|}]/.test(host)) throw fault();
  return unescape(host);
}

function isPort(text: string): boolean {
  return /^(?::\d*)?$/.test(text);
}

function checkEscapes(text: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) throw fault();
  return text;
}

/** Percent signs to characters; what is no UTF-8 becomes the replacement character. */
function unescape(text: string): string {
  return text.includes('%') ? Buffer.from(Buffer.from(text).toString('latin1').replaceAll(/%([0-9a-fA-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))), 'latin1').toString('utf8') : text;
}

function fault(): CelFault {
  return new CelFault('the text is not an absolute URL or path');
}

/** The path as it was written, or all of it escaped anew when something in it has to be. */
function escapedPath({ path }: CelUrl): string {
  if (!/[^\w.~!$&'()*+,;=:@/%[\]-]/u.test(path)) return path;
  return unescape(path).replaceAll(/[^\w.~$&+,/:;=@-]/gu, (character) => encodeURIComponent(character).replace(/^[!'()*]$/, (plain) => `%${plain.charCodeAt(0).toString(16).toUpperCase()}`));
}

function hostname({ host }: CelUrl): string {
  const [, address] = /^\[(.*)\](?::\d*)?$/.exec(host) ?? [];
  return address ?? host.replace(/:\d*$/, '');
}

function port({ host }: CelUrl): string {
  return /^(?:\[.*\]|[^[]*?):(\d*)$/.exec(host)?.[1] ?? '';
}

function queryOf({ query }: CelUrl): Record<string, string[]> {
  const values = new Map<string, string[]>();
  for (const pair of query.split('&')) {
    // Go leaves out what it cannot read.
    if (pair === '' || pair.includes(';') || /%(?![0-9a-fA-F]{2})/.test(pair)) continue;
    const equals = pair.indexOf('=');
    const [key, value] = (equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]).map((part) => unescape(part.replaceAll('+', ' '))) as [string, string];
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return Object.fromEntries(values);
}

/** True for what `url()` takes. */
export function isUrl(text: string): boolean {
  try {
    read(text, true);
    return true;
  } catch {
    return false;
  }
}

const type = 'kubernetes.URL';

export const urlLibrary: Library = {
  types: [{ name: type, ctor: CelUrl }],
  functions: [
    { signature: `url(string): ${type}`, handler: parseUrl },
    { signature: 'isURL(string): bool', handler: isUrl },
    { signature: `${type}.getScheme(): string`, handler: ({ scheme }: CelUrl) => scheme },
    { signature: `${type}.getHost(): string`, handler: ({ host }: CelUrl) => host },
    { signature: `${type}.getHostname(): string`, handler: hostname },
    { signature: `${type}.getPort(): string`, handler: port },
    { signature: `${type}.getEscapedPath(): string`, handler: escapedPath },
    { signature: `${type}.getQuery(): map<string, list<string>>`, handler: queryOf },
  ],
};
