import { parseIpAddress } from '../../net/ip-address.ts';
import { CelFault } from '../cel-fault.ts';
import type { Library } from './library-function.ts';

/** An address of either family, as the number that its bits are. */
export class IpAddress {
  readonly family: 4 | 6;
  readonly bits: bigint;

  constructor(family: 4 | 6, bits: bigint) {
    this.family = family;
    this.bits = bits;
  }

  toString(): string {
    return this.family === 4 ? formatIpv4(this.bits) : formatIpv6(this.bits);
  }
}

/** An address and the length of its network prefix; host bits stay as they were written. */
export class Cidr {
  readonly address: IpAddress;
  readonly prefixLength: number;

  constructor(address: IpAddress, prefixLength: number) {
    this.address = address;
    this.prefixLength = prefixLength;
  }

  toString(): string {
    return `${this.address.toString()}/${this.prefixLength}`;
  }
}

/** @throws CelFault when the text is no address, has a zone, or is an IPv4 address written as IPv6 */
function parseIp(text: string): IpAddress {
  const parsed = /[[%]/.test(text) ? undefined : parseIpAddress(text);
  if (parsed === undefined) throw new CelFault('the text is not an IP address');
  const bits = parsed.groups.reduce((high, group) => (high << 16n) | BigInt(group), 0n);
  if (parsed.version === 6 && bits >> 32n === 0xffffn) throw new CelFault('an IPv4 address must not be written as IPv6');
  return new IpAddress(parsed.version, bits);
}

function formatIpv4(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((bits >> shift) & 0xffn)).join('.');
}

/** RFC 5952: lower case, the first longest run of two zeros or more shortened. */
function formatIpv6(bits: bigint): string {
  const parts = Array.from({ length: 8 }, (_, index) => Number((bits >> BigInt(112 - 16 * index)) & 0xffffn));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (parts[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = parts.map((part) => part.toString(16));
  return best.start < 0 ? hex.join(':') : `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}

/** @throws CelFault when the text is no network */
function parseCidr(text: string): Cidr {
  const [, address, prefix] = /^([^/]*)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  if (address === undefined || prefix === undefined) throw new CelFault('the text is not a network such as 10.0.0.0/8');
  const ip = parseIp(address);
  if (Number(prefix) > width(ip)) throw new CelFault('the prefix is longer than the address');
  return new Cidr(ip, Number(prefix));
}

function width({ family }: IpAddress): number {
  return family === 4 ? 32 : 128;
}

function succeeds(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

/** True when the first bits of both are the same. */
function share(left: IpAddress, right: IpAddress, length: number): boolean {
  const shift = BigInt(width(left) - length);
  return left.family === right.family && left.bits >> shift === right.bits >> shift;
}

function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return outer.prefixLength <= inner.prefixLength && share(outer.address, inner.address, outer.prefixLength);
}

function masked({ address, prefixLength }: Cidr): Cidr {
  const shift = BigInt(width(address) - prefixLength);
  return new Cidr(new IpAddress(address.family, (address.bits >> shift) << shift), prefixLength);
}

const within = (network: string) => {
  const cidr = parseCidr(network);
  return (ip: IpAddress) => share(cidr.address, ip, cidr.prefixLength);
};
const isLoopback4 = within('127.0.0.0/8');
const isLinkLocal4 = within('169.254.0.0/16');
const isLinkLocal6 = within('fe80::/10');
const isMulticast4 = within('224.0.0.0/4');
const isMulticast6 = within('ff00::/8');
const isLinkLocalMulticast4 = within('224.0.0.0/24');

const isUnspecified = ({ bits }: IpAddress) => bits === 0n;
const isLoopback = (ip: IpAddress) => (ip.family === 4 ? isLoopback4(ip) : ip.bits === 1n);
const isLinkLocalUnicast = (ip: IpAddress) => isLinkLocal4(ip) || isLinkLocal6(ip);
/** The scope of an IPv6 multicast address is the low half of its second byte; 2 is the link. */
const isLinkLocalMulticast = (ip: IpAddress) => isLinkLocalMulticast4(ip) || (isMulticast6(ip) && ((ip.bits >> 112n) & 0xfn) === 2n);
const isMulticast = (ip: IpAddress) => isMulticast4(ip) || isMulticast6(ip);
const isBroadcast = (ip: IpAddress) => ip.family === 4 && ip.bits === 0xffffffffn;
const isGlobalUnicast = (ip: IpAddress) => !isBroadcast(ip) && !isUnspecified(ip) && !isLoopback(ip) && !isMulticast(ip) && !isLinkLocalUnicast(ip);

const ipType = 'net.IP';
const cidrType = 'net.CIDR';

export const networkLibrary: Library = {
  namespaces: ['ip'],
  types: [
    { name: ipType, ctor: IpAddress },
    { name: cidrType, ctor: Cidr },
  ],
  functions: [
    { signature: `ip(string): ${ipType}`, handler: parseIp },
    { signature: 'isIP(string): bool', handler: (text: string) => succeeds(() => parseIp(text)) },
    { signature: 'ip.isCanonical(string): bool', handler: (_namespace: never, text: string) => parseIp(text).toString() === text },
    { signature: `string(${ipType}): string`, handler: (ip: IpAddress) => ip.toString() },
    { signature: `${ipType}.family(): int`, handler: ({ family }: IpAddress) => BigInt(family) },
    { signature: `${ipType}.isUnspecified(): bool`, handler: isUnspecified },
    { signature: `${ipType}.isLoopback(): bool`, handler: isLoopback },
    { signature: `${ipType}.isLinkLocalMulticast(): bool`, handler: isLinkLocalMulticast },
    { signature: `${ipType}.isLinkLocalUnicast(): bool`, handler: isLinkLocalUnicast },
    { signature: `${ipType}.isGlobalUnicast(): bool`, handler: isGlobalUnicast },
    { signature: `cidr(string): ${cidrType}`, handler: parseCidr },
    { signature: 'isCIDR(string): bool', handler: (text: string) => succeeds(() => parseCidr(text)) },
    { signature: `string(${cidrType}): string`, handler: (cidr: Cidr) => cidr.toString() },
    { signature: `${cidrType}.containsIP(${ipType}): bool`, handler: ({ address, prefixLength }: Cidr, ip: IpAddress) => share(address, ip, prefixLength) },
    { signature: `${cidrType}.containsIP(string): bool`, handler: ({ address, prefixLength }: Cidr, ip: string) => share(address, parseIp(ip), prefixLength) },
    { signature: `${cidrType}.containsCIDR(${cidrType}): bool`, handler: containsCidr },
    { signature: `${cidrType}.containsCIDR(string): bool`, handler: (outer: Cidr, inner: string) => containsCidr(outer, parseCidr(inner)) },
    { signature: `${cidrType}.ip(): ${ipType}`, handler: ({ address }: Cidr) => address },
    { signature: `${cidrType}.masked(): ${cidrType}`, handler: masked },
    { signature: `${cidrType}.prefixLength(): int`, handler: ({ prefixLength }: Cidr) => BigInt(prefixLength) },
  ],
};
