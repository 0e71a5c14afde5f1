/**
 * The snapshot digest: the sum modulo 2^256 of the SHA-256 of all rows. Adding and taking away a row costs the same whatever the
 * size of the inventory, and the order does not matter. It detects changes; it proves nothing about integrity.
 *
 * Hashes are 32 bytes in a latin1 string, read as a big-endian number. Held as eight 32-bit words, lowest first, because BigInt is
 * three times slower.
 */
export class SnapshotDigest {
  readonly #words = new Uint32Array(8);

  add(hash: string): void {
    let carry = 0;
    for (let index = 0; index < 8; index++) {
      const sum = this.#words[index]! + wordOf(hash, index) + carry;
      this.#words[index] = sum;
      carry = sum > 0xffffffff ? 1 : 0;
    }
  }

  subtract(hash: string): void {
    let borrow = 0;
    for (let index = 0; index < 8; index++) {
      const difference = this.#words[index]! - wordOf(hash, index) - borrow;
      this.#words[index] = difference;
      borrow = difference < 0 ? 1 : 0;
    }
  }

  addAll(other: SnapshotDigest): void {
    let carry = 0;
    for (let index = 0; index < 8; index++) {
      const sum = this.#words[index]! + other.#words[index]! + carry;
      this.#words[index] = sum;
      carry = sum > 0xffffffff ? 1 : 0;
    }
  }

  /** 64 lower-case hex digits. */
  toString(): string {
    let text = '';
    for (let index = 7; index >= 0; index--) text += this.#words[index]!.toString(16).padStart(8, '0');
    return text;
  }
}

function wordOf(hash: string, index: number): number {
  const at = 28 - index * 4;
  return (
    ((hash.charCodeAt(at) << 24) | (hash.charCodeAt(at + 1) << 16) | (hash.charCodeAt(at + 2) << 8) | hash.charCodeAt(at + 3)) >>> 0
  );
}
