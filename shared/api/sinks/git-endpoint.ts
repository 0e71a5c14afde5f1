import { KollectError } from '../../errors.ts';
import { hasScheme, readPort, splitUrl } from '../../net/endpoint.ts';

/** Where a repository is. */
export interface GitEndpoint {
  scheme: 'http' | 'https' | 'ssh';
  /** What stands before the `@`: the user of SSH. */
  user: string | undefined;
  host: string;
  port: number | undefined;
  path: string;
  query: string;
  /** Of `#branch=<name>`; not yet judged. */
  branch: string | undefined;
}

const forms = 'write https://<host>/<path>.git, ssh://git@<host>/<path>.git or git@<host>:<path>.git';

/**
 * Reads the address of a repository: a URL of http, https or ssh, or the short form of ssh. Throws `KOL_API_ENDPOINT` for anything else; local
 * paths and the helpers of git (`ext::…`) are nothing that a cluster can write to.
 *
 * @example parseGitEndpoint('git@github.com:team/inventory.git') // { scheme: 'ssh', user: 'git', host: 'github.com', path: 'team/inventory.git', … }
 */
export function parseGitEndpoint(text: string): GitEndpoint {
  if (!hasScheme(text)) return parseShortForm(text);
  const { scheme, fragment, ...url } = splitUrl(text);
  if (scheme !== 'https' && scheme !== 'http' && scheme !== 'ssh') throw new KollectError('KOL_API_ENDPOINT', `has the scheme ${scheme}, which is not supported; ${forms}`);
  if (url.path.replaceAll('/', '') === '') throw new KollectError('KOL_API_ENDPOINT', `names no repository; ${forms}`);
  if (scheme === 'ssh') refuseOptions(url.user ?? '', url.path);
  return { scheme, ...url, branch: branchOf(fragment) };
}

/**
 * Reads the address of a project of GitLab, which is both cloned and asked through its API. Throws `KOL_API_ENDPOINT`.
 *
 * @example parseGitLabEndpoint('https://gitlab.com/group/project.git').path // '/group/project.git'
 */
export function parseGitLabEndpoint(text: string): GitEndpoint {
  const form = 'write https://<host>/<group>/<project>';
  if (!/^https?:\/\//i.test(text)) throw new KollectError('KOL_API_ENDPOINT', `must be an address of http or https; ${form}`);
  // What follows is a part of the web interface, which no group or project can be called.
  if (text.includes('/-/')) throw new KollectError('KOL_API_ENDPOINT', `is a page of a project; ${form}`);
  const project = splitUrl(text).path.replace(/\.git\/?$/, '').split('/').filter((part) => part !== '');
  if (project.length < 2) throw new KollectError('KOL_API_ENDPOINT', `must name a project with its group; ${form}`);
  return parseGitEndpoint(text);
}

const shortForm = /^(?:([^\s@:/]+)@)?(\[[^\]\s@/]*\]|[^\s@:/[\]]+):([^#]*)(?:#(.*))?$/;

/** `[user@]host:path`; in brackets an IPv6 address, or a host with a port. */
function parseShortForm(text: string): GitEndpoint {
  const match = shortForm.exec(text);
  const [, user, bracketed = '', path = '', fragment = ''] = match ?? [];
  // `https:host/…` is a URL that lacks its slashes, `C:/…` a file of Windows, and `ext::…` a program for git to run.
  if (match === null || path === '' || path.startsWith(':') || /^(?:https?|ssh|file|ftps?|[a-z])$/i.test(bracketed) || /[\s\\\p{Cc}\p{Cf}]/u.test(text)) throw new KollectError('KOL_API_ENDPOINT', `is no address of a repository; ${forms}`);
  refuseOptions(user ?? '', path);
  const [, host = bracketed, port] = /^\[([^:[\]]+):([^:[\]]*)\]$/.exec(bracketed) ?? [];
  return { scheme: 'ssh', user, host, port: port === undefined ? undefined : readPort(port), path, query: '', branch: branchOf(fragment) };
}

/** A part that begins with "-" is an option to the programs that git hands it to. */
function refuseOptions(user: string, path: string): void {
  if (user.startsWith('-') || path.replace(/^\/+/, '').startsWith('-')) throw new KollectError('KOL_API_ENDPOINT', 'must have neither a user nor a path that begins with "-"');
}

function branchOf(fragment: string): string | undefined {
  if (fragment === '') return undefined;
  if (!fragment.startsWith('branch=')) throw new KollectError('KOL_API_ENDPOINT', 'can have only the fragment #branch=<name>');
  return fragment.slice('branch='.length);
}
