import { KollectError } from '../../errors.ts';
import { checkHost } from '../../net/address-policy.ts';
import type { AddressPolicy } from '../../net/address-policy.ts';
import { holdsToken, isSecretLike, redact, secretAddress } from '../credentials.ts';
import { forbidden, invalid } from '../finding.ts';
import type { Report } from '../finding.ts';

/** What a type of sink reads in an address: where it would connect to. */
export interface Destination {
  /** Undefined when the provider's own host is meant. */
  host: string | undefined;
}

/** Reads an address of a sink. Throws `KOL_API_ENDPOINT`. */
export type ReadEndpoint = (text: string) => readonly Destination[];

/** An address that its type of sink can read. Files are left to `notLocal`. */
export function readable(field: string, text: string, read: ReadEndpoint, report: Report): void {
  if (isLocal(text)) return;
  const problem = attempt(text, read);
  if (typeof problem === 'string') report(invalid(field, shown(text), problem));
}

/** Files and folders are those of the machine that Kollect happens to run on, whatever they hold. */
export function notLocal(field: string, text: string, report: Report): void {
  if (isLocal(text)) report(forbidden(field, 'is a path on the machine of Kollect; write the address of a server'));
}

/** Hosts that the installation lets sinks connect to. Names are judged again when they are resolved. */
export function allowedHosts(field: string, text: string, read: ReadEndpoint, policy: AddressPolicy, report: Report): void {
  const destinations = isLocal(text) ? [] : attempt(text, read);
  if (typeof destinations === 'string') return;
  for (const { host } of destinations) {
    const refused = host === undefined ? undefined : checkHost(host, policy);
    if (refused !== undefined) report(forbidden(field, `${redact(refused)}; write a server that is reached over the network`));
  }
}

/** No password in an address, whatever its form, and no token or signature behind the `?`. */
export function credentials(field: string, text: string | undefined, report: Report): void {
  if (text === undefined) return;
  if (holdsPassword(text)) report(forbidden(field, 'holds a password; put it into a Secret and name that in secretRef'));
  else if (holdsToken(text)) report(forbidden(field, 'holds a token; put it into a Secret and name that in secretRef'));
  else if (holdsSecretParameter(text)) report(forbidden(field, 'holds a token or signature behind the "?"; put it into a Secret and name that in secretRef'));
}

/** The same where a user alone is a credential, or means nothing. */
export function noUser(field: string, text: string, report: Report): void {
  if (text.includes('@')) report(forbidden(field, 'holds a user, password or token before the "@"; put it into a Secret and name that in secretRef'));
}

/** In an address, or in one of several separated by commas. */
export function holdsPassword(text: string): boolean {
  return [text, ...text.split(',')].some((address) => hasPassword(address.trim()));
}

/** Judged without parsing, so that what no parser takes is judged too. */
function hasPassword(address: string): boolean {
  const rest = address.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  const isUrl = rest !== address;
  const [authority = ''] = /^[^/?#]*/.exec(rest) ?? [];
  // Of a URL the last "@" ends the user; in `git@host:path` the first one does.
  const end = isUrl ? authority.lastIndexOf('@') : authority.indexOf('@');
  if (end >= 0) return authority.slice(0, end).includes(':');
  // `user:pass/word@host` has its "@" behind a slash, as has the path of `host:8443/a@b`.
  const [, port = ''] = /^(?:\[[^\]]*\]|[^:]*):(.*)$/.exec(authority) ?? [];
  return port !== '' && !/^\d+$/.test(port) && rest.includes('@');
}

/** An address as messages may show it. */
export function shown(text: string): string {
  return holdsPassword(text) || holdsToken(text) || holdsSecretParameter(text) || secretAddress.test(text) ? '***' : text;
}

function holdsSecretParameter(text: string): boolean {
  const [, query = ''] = /\?([^#]*)/.exec(text) ?? [];
  return query.split('&').some((parameter) => /^(?:sig|signature)$/i.test(nameOf(parameter)) || isSecretLike(nameOf(parameter)));
}

function nameOf(parameter: string): string {
  const [name = ''] = parameter.split('=');
  return name.replaceAll(/%([0-9a-f]{2})/gi, (_match, code: string) => String.fromCodePoint(Number.parseInt(code, 16)));
}

function isLocal(text: string): boolean {
  return /^\s*(?:file:|[/~.])/i.test(text);
}

function attempt(text: string, read: ReadEndpoint): readonly Destination[] | string {
  try {
    return read(text);
  } catch (error) {
    if (error instanceof KollectError) return error.message;
    throw error;
  }
}
