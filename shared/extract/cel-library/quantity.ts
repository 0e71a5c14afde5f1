import { CelFault } from '../cel-fault.ts';
import type { Library } from './library-function.ts';

/**
 * A Kubernetes quantity such as `500m` or `1Gi`, exact to a billionth. Kubernetes counts one as an integer by how it was written: `1000m` is
 * none. `scale` is the power of ten it was written in, undefined for what Kubernetes keeps as a decimal fraction of any size.
 */
export class Quantity {
  readonly nano: bigint;
  readonly scale: number | undefined;

  constructor(nano: bigint, scale: number | undefined) {
    this.nano = nano;
    this.scale = scale;
  }

  equals(other: unknown): boolean {
    return other instanceof Quantity && other.nano === this.nano;
  }
}

/** What each suffix multiplies by: a power of ten, or a power of two. */
const decimalExponents: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const binaryExponents: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };

const billion = 1_000_000_000n;
/** Kubernetes holds larger ones with a binary suffix at the largest integer of 64 bits. */
const maxBinaryNano = (2n ** 63n - 1n) * billion;
/** Exponents beyond it are beyond what a double holds. */
const maxExponent = 400;

/** @throws CelFault when the text is no quantity; the message does not repeat it */
export function parseQuantity(text: string): Quantity {
  const parts = /^([+-]?)0*(\d*)(?:\.(\d*))?(?:([eE])([+-]?\d+)|([KMGTPE]i|[numkMGTPE]?))$/.exec(text);
  if (parts === null || text === '' || text.length > 64) throw new CelFault('the text is not a quantity such as 500m or 1Gi');
  const [, sign, whole = '', fraction = '', exponential, exponentText, suffix = ''] = parts;
  const binary = binaryExponents[suffix];
  const exponent = exponential === undefined ? (decimalExponents[suffix] ?? 0) : Math.max(-maxExponent, Math.min(maxExponent, Number(exponentText)));
  const digits = BigInt(`0${whole}${fraction}`) << BigInt(binary ?? 0);
  const shift = exponent + 9 - fraction.length;
  const exact = shift >= 0 ? digits * 10n ** BigInt(shift) : ceilDivide(digits, 10n ** BigInt(-shift));
  const nano = binary !== undefined && exact > maxBinaryNano ? maxBinaryNano : exact;
  return new Quantity(sign === '-' ? -nano : nano, shift >= 0 && isShort(whole, fraction, binary) ? shift - 9 : undefined);
}

/** Whether Kubernetes holds the number in 64 bits; it estimates from the digits. */
function isShort(whole: string, fraction: string, binary: number | undefined): boolean {
  if (binary === undefined) return whole.length + fraction.length <= 18;
  return fraction === '' && whole.length + Math.trunc((binary * 3) / 10) + 1 <= 15;
}

/** Whoever asks for a part of a billionth gets a billionth. */
function ceilDivide(left: bigint, right: bigint): bigint {
  return (left + right - 1n) / right;
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    return false;
  }
}

function asInteger({ nano, scale }: Quantity): bigint | undefined {
  const value = nano / billion;
  return scale !== undefined && scale >= 0 && BigInt.asIntN(64, value) === value ? value : undefined;
}

function asApproximateFloat({ nano, scale }: Quantity): number {
  if (scale === undefined) return Number(nano) * 1e-9;
  const value = Number(scale < -9 ? 0n : nano / 10n ** BigInt(scale + 9));
  return scale === 0 ? value : value * Number(`1e${scale}`);
}

function add(left: Quantity, right: Quantity): Quantity {
  if (left.nano === 0n || right.nano === 0n) return left.nano === 0n ? right : left;
  return new Quantity(left.nano + right.nano, left.scale === undefined || right.scale === undefined ? undefined : Math.min(left.scale, right.scale));
}

function negated({ nano, scale }: Quantity): Quantity {
  return new Quantity(-nano, scale);
}

function fromInteger(value: bigint): Quantity {
  return new Quantity(value * billion, 0);
}

function compare(left: Quantity, right: Quantity): bigint {
  return left.nano < right.nano ? -1n : left.nano > right.nano ? 1n : 0n;
}

const type = 'kubernetes.Quantity';

export const quantityLibrary: Library = {
  types: [{ name: type, ctor: Quantity }],
  functions: [
    { signature: `quantity(string): ${type}`, handler: parseQuantity },
    { signature: 'isQuantity(string): bool', handler: isQuantity },
    { signature: `sign(${type}): int`, handler: (quantity: Quantity) => compare(quantity, fromInteger(0n)) },
    { signature: `${type}.isInteger(): bool`, handler: (quantity: Quantity) => asInteger(quantity) !== undefined },
    {
      signature: `${type}.asInteger(): int`,
      handler: (quantity: Quantity) => {
        const value = asInteger(quantity);
        if (value === undefined) throw new CelFault('the quantity is not a whole number of 64 bits');
        return value;
      },
    },
    { signature: `${type}.asApproximateFloat(): double`, handler: asApproximateFloat },
    { signature: `${type}.add(${type}): ${type}`, handler: add },
    { signature: `${type}.add(int): ${type}`, handler: (left: Quantity, right: bigint) => add(left, fromInteger(right)) },
    { signature: `${type}.sub(${type}): ${type}`, handler: (left: Quantity, right: Quantity) => add(left, negated(right)) },
    { signature: `${type}.sub(int): ${type}`, handler: (left: Quantity, right: bigint) => add(left, fromInteger(-right)) },
    { signature: `${type}.isLessThan(${type}): bool`, handler: (left: Quantity, right: Quantity) => left.nano < right.nano },
    { signature: `${type}.isGreaterThan(${type}): bool`, handler: (left: Quantity, right: Quantity) => left.nano > right.nano },
    { signature: `${type}.compareTo(${type}): int`, handler: compare },
  ],
};
