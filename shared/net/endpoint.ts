import { KollectError } from '../errors.ts';

/** The parts of a URL as they are written; nothing is decoded. */
export interface UrlParts {
  /** In lower case, without the colon. */
  scheme: string;
  /** What stands before the `@`; undefined when there is none. */
  user: string | undefined;
  /** A name, an IPv4 address in any notation, or an IPv6 address in brackets. Never empty. */
  host: string;
  port: number | undefined;
  /** With its leading `/`; `""` when there is none. */
  path: string;
  /** Without the `?`; `""` when there is none. */
  query: string;
  /** Without the `#`; `""` when there is none. */
  fragment: string;
}

const shape = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#@]*)@)?(\[[^\]/?#@]*\]|[^/?#@:[\]]*)(?::([^/?#@]*))?(\/[^?#]*)?(?:\?([^#]*))?(?:#(.*))?$/i;

/**
 * Takes a URL apart. Stricter than most parsers: whatever two of them could read as different hosts is no URL, such as blanks, backslashes or a
 * second `@`. Throws `KOL_API_ENDPOINT`, of which the message does not show the text.
 *
 * @example splitUrl('ssh://git@git.example.com:2222/team/r.git').host // 'git.example.com'
 */
export function splitUrl(text: string): UrlParts {
  if (unreadable.test(text)) throw new KollectError('KOL_API_ENDPOINT', 'must not contain blanks, backslashes or invisible characters');
  const match = shape.exec(text);
  if (match === null) throw new KollectError('KOL_API_ENDPOINT', 'cannot be read as <scheme>://<host>[:<port>]/<path>; write characters such as "@" in a path as %40');
  const [, scheme = '', user, host = '', port, path = '', query = '', fragment = ''] = match;
  if (host === '' || host === '[]') throw new KollectError('KOL_API_ENDPOINT', 'has no host; write <scheme>://<host>/<path>');
  return { scheme: scheme.toLowerCase(), user, host, port: port === undefined ? undefined : readPort(port), path, query, fragment };
}

/** A port between 1 and 65535. Throws `KOL_API_ENDPOINT`. */
export function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new KollectError('KOL_API_ENDPOINT', 'must have a port between 1 and 65535 behind the ":", or none');
  return port;
}

/** What some parsers skip, some take for a slash, and none shows. */
const unreadable = /[\s\\\p{Cc}\p{Cf}]/u;

/** Whether a text begins with a scheme, such as `https://`. */
export function hasScheme(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}
