import { embeddedV4, parseIpAddress } from './ip-address.ts';
import type { IpAddress } from './ip-address.ts';

/** What a sink may point to. Metadata services, link-local, multicast and reserved addresses are refused under every policy. */
export interface AddressPolicy {
  /** RFC 1918 and unique local addresses, as in-cluster Services have them. */
  allowPrivate: boolean;
  /** 127.0.0.0/8, ::1 and `localhost`: for development outside a cluster. */
  allowLoopback: boolean;
}

export const defaultAddressPolicy: AddressPolicy = { allowPrivate: true, allowLoopback: false };

/**
 * Judges the host of a URL or broker list as written, without resolving it. Names that the machine may resolve to something else must
 * be judged once more by `checkAddress` when they are dialled.
 *
 * @returns why the host is refused, or undefined.
 * @example checkHost('0x7f.1', policy) // '127.0.0.1 is a loopback address'
 */
export function checkHost(host: string, policy: AddressPolicy): string | undefined {
  const name = normaliseHost(host);
  if (name === undefined) return `${JSON.stringify(host.slice(0, 100))} is not a host name or an address`;
  const address = parseIpAddress(name);
  if (address !== undefined) return refusal(name, address, policy) ?? (host.includes('%') ? `${name} has a zone, which is for link-local addresses` : undefined);
  if (isLoopbackName(name)) return policy.allowLoopback ? undefined : `${name} is a name of the loopback address`;
  if (metadataNames.has(name)) return `${name} is a name of a cloud metadata service`;
  return undefined;
}

/**
 * Judges an address that a name resolved to.
 *
 * @returns why the address is refused, or undefined. Text that is no address is refused.
 */
export function checkAddress(address: string, policy: AddressPolicy): string | undefined {
  const parsed = parseIpAddress(address);
  return parsed === undefined ? `${JSON.stringify(address.slice(0, 100))} is not an address` : refusal(address, parsed, policy);
}

const metadataNames: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
]);

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name === 'localhost.localdomain' || name.endsWith('.localhost') || /^(?:ip6-localhost|ip6-loopback|localhost6(?:\.localdomain6)?|localhost4(?:\.localdomain4)?)$/.test(name);
}

/** Lower case, no dots at the ends, international names in ASCII and every notation of an IPv4 address in the usual one. */
function normaliseHost(host: string): string | undefined {
  let name = host.trim().toLowerCase().replaceAll(/^\.+|\.+$/g, '');
  if (name.includes(':')) {
    if (!name.startsWith('[')) name = `[${name}]`;
    // A zone may name any interface of the machine, and is no part of the address.
    return parseIpAddress(name) === undefined ? undefined : name.slice(1, -1).replace(/%.*$/, '');
  }
  if (name === '' || /[\s/?#@\\%[\]]/.test(name)) return undefined;
  try {
    // The parser of URLs knows the notations (hexadecimal, octal, one number) that resolvers know.
    const known = new URL(`http://${name}/`).hostname.replaceAll(/^\.+|\.+$/g, '');
    return known.length <= 253 && labels.test(known) ? known : undefined;
  } catch {
    return undefined;
  }
}

/** What DNS and resolvers take, "_" included. A leading "-" would make the name an option to programs that are given it. */
const labels = /^(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*$/;

type AddressClass = 'public' | 'private' | 'loopback' | 'metadata' | 'link-local' | 'unspecified' | 'multicast' | 'shared' | 'benchmark' | 'reserved';

const classNames: Record<Exclude<AddressClass, 'public' | 'private'>, string> = {
  loopback: 'a loopback address',
  metadata: 'the address of a cloud metadata service',
  'link-local': 'a link-local address',
  unspecified: 'an unspecified address',
  multicast: 'a multicast address',
  shared: 'an address of a provider network (100.64.0.0/10)',
  benchmark: 'an address for benchmarks (198.18.0.0/15)',
  reserved: 'a reserved address',
};

function refusal(text: string, address: IpAddress, policy: AddressPolicy): string | undefined {
  const found = classify(address);
  if (found === 'public') return undefined;
  if (found === 'private') return policy.allowPrivate ? undefined : `${text} is a private address, which this installation does not allow (--allow-private-sinks=false)`;
  if (found === 'loopback' && policy.allowLoopback) return undefined;
  return `${text} is ${classNames[found]}`;
}

function classify(address: IpAddress): AddressClass {
  return address.version === 4 ? classifyV4(address.groups) : classifyV6(address.groups);
}

function classifyV4([high, low]: readonly [number, number]): AddressClass {
  const a = high >> 8;
  const b = high & 0xff;
  if (a === 0) return 'unspecified';
  if (a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168)) return 'private';
  if (a === 127) return 'loopback';
  // 169.254.169.254 is what most providers answer metadata on.
  if (a === 169 && b === 254) return low === 0xa9fe ? 'metadata' : 'link-local';
  // Alibaba Cloud answers on 100.100.100.200.
  if (a === 100 && b >= 64 && b < 128) return high === 0x6464 && low === 0x64c8 ? 'metadata' : 'shared';
  // Azure's host agent.
  if (high === 0xa83f && low === 0x8110) return 'metadata';
  if (high === 0xc000 && low >> 8 === 0) return 'reserved';
  if (a === 198 && (b === 18 || b === 19)) return 'benchmark';
  if (a >= 224) return a < 240 ? 'multicast' : 'reserved';
  return 'public';
}

function classifyV6(groups: readonly number[]): AddressClass {
  const [g0 = 0, g1 = 0, g2 = 0, g3 = 0, g4 = 0, g5 = 0, g6 = 0, g7 = 0] = groups;
  const zeroUntil = groups.findIndex((group) => group !== 0);
  if (zeroUntil < 0) return 'unspecified';
  if (zeroUntil === 7 && g7 === 1) return 'loopback';
  // Forms that carry an IPv4 address: compatible (::a.b.c.d), mapped (::ffff:a.b.c.d) and translated (::ffff:0:a.b.c.d).
  if (zeroUntil >= 6 || (zeroUntil === 5 && g5 === 0xffff) || (zeroUntil === 4 && g4 === 0xffff && g5 === 0)) return classify(embeddedV4(groups, 6));
  // NAT64: the well-known prefix carries the address at its end; where a local prefix carries it, only the network knows.
  if (g0 === 0x64 && g1 === 0xff9b) return (g2 | g3 | g4 | g5) === 0 ? classify(embeddedV4(groups, 6)) : 'reserved';
  // 6to4 carries it behind the prefix; Teredo carries two, one of them inverted.
  if (g0 === 0x2002) return classify(embeddedV4(groups, 1));
  if (g0 === 0x2001 && g1 === 0) return 'reserved';
  if (g0 === 0x0100 && (g1 | g2 | g3) === 0) return 'reserved';
  if ((g0 & 0xffc0) === 0xfe80) return 'link-local';
  if ((g0 & 0xff00) === 0xff00) return 'multicast';
  // Services of the host at Amazon: metadata (fd00:ec2::254), credentials of pods (::23), DNS (::253). Metadata at Google (fd20:ce::254).
  if (g0 === 0xfd00 && g1 === 0x0ec2) return 'metadata';
  if (g0 === 0xfd20 && g1 === 0x00ce && (g2 | g3 | g4 | g5 | g6) === 0 && g7 === 0x254) return 'metadata';
  // ISATAP: the interface identifier 0:5efe or 200:5efe ends in an IPv4 address.
  if ((g4 === 0 || g4 === 0x200) && g5 === 0x5efe) {
    const inner = classify(embeddedV4(groups, 6));
    if (inner !== 'public') return inner;
  }
  // Unique local, and the site-local addresses that came before them.
  if ((g0 & 0xfe00) === 0xfc00 || (g0 & 0xffc0) === 0xfec0) return 'private';
  return 'public';
}
