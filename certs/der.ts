/** DER, as far as an X.509 certificate needs it (ITU-T X.690). */

export function sequence(...items: Buffer[]): Buffer {
  return element(0x30, Buffer.concat(items));
}

export function set(...items: Buffer[]): Buffer {
  return element(0x31, Buffer.concat(items));
}

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Buffer.of(0) : bytes.subarray(first);
  // A leading bit of one would make the number negative.
  return element(0x02, (digits[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

export function boolean(value: boolean): Buffer {
  return element(0x01, Buffer.of(value ? 0xff : 0));
}

export function octetString(bytes: Buffer): Buffer {
  return element(0x04, bytes);
}

/** `unusedBits` of the last byte do not count. */
export function bitString(bytes: Buffer, unusedBits = 0): Buffer {
  return element(0x03, Buffer.concat([Buffer.of(unusedBits), bytes]));
}

export function utf8String(text: string): Buffer {
  return element(0x0c, Buffer.from(text));
}

/** To the second, in UTC; with two digits of the year through 2049 and four from 2050 on, as RFC 5280 wants it. */
export function time(value: Date): Buffer {
  const digits = `${value.toISOString().replaceAll(/[-:T]|\.\d+Z/g, '')}Z`;
  return value.getUTCFullYear() < 2050 ? element(0x17, Buffer.from(digits.slice(2))) : element(0x18, Buffer.from(digits));
}

/** @example objectIdentifier('2.5.29.17') */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const septets = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) septets.unshift((left & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return element(0x06, Buffer.from(bytes));
}

/** A context-specific element: `[number]`. */
export function tagged(number: number, content: Buffer, options: { constructed: boolean }): Buffer {
  return element(0x80 | (options.constructed ? 0x20 : 0) | number, content);
}

function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(tag), length(content.length), content]);
}

function length(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.of(bytes);
  const digits: number[] = [];
  for (let left = bytes; left > 0; left >>>= 8) digits.unshift(left & 0xff);
  return Buffer.of(0x80 | digits.length, ...digits);
}
