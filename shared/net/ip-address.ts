/** An address as eight 16-bit groups; an IPv4 address as two. */
export type IpAddress = { version: 4; groups: readonly [number, number] } | { version: 6; groups: readonly number[] };

/**
 * Reads an address in its usual notation: `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1`, with brackets or a zone (`[fe80::1%eth0]`).
 * Undefined for anything else, the short, hexadecimal and octal IPv4 forms included.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  let address = text;
  if (address.startsWith('[') && address.endsWith(']')) address = address.slice(1, -1);
  if (!address.includes(':')) return parseV4(address);
  const zone = address.indexOf('%');
  return parseV6(zone < 0 ? address : address.slice(0, zone));
}

/** The IPv4 address in two neighbouring groups of an IPv6 address. */
export function embeddedV4(groups: readonly number[], at: number): IpAddress {
  return { version: 4, groups: [groups[at] ?? 0, groups[at + 1] ?? 0] };
}

function parseV4(text: string): IpAddress | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const octets = match.slice(1).map(Number);
  // A leading zero means octal to some resolvers and decimal to others.
  if (octets.some((octet, index) => octet > 255 || String(octet) !== match[index + 1])) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  return { version: 4, groups: [(a << 8) | b, (c << 8) | d] };
}

function parseV6(text: string): IpAddress | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves[1] === undefined ? [] : parseGroups(halves[1], true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return { version: 6, groups: [...head, ...Array.from({ length: missing }, () => 0), ...tail] };
}

/** The last group of an address may be an IPv4 address, which is two groups. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    const v4 = isLast && index === parts.length - 1 && part.includes('.') ? parseV4(part) : undefined;
    if (v4 !== undefined) groups.push(...v4.groups);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
