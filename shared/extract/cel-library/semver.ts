import { CelFault } from '../cel-fault.ts';
import type { Library } from './library-function.ts';

/** A version as semver.org defines it. */
export class Semver {
  readonly major: bigint;
  readonly minor: bigint;
  readonly patch: bigint;
  readonly prerelease: readonly string[];

  constructor(parts: Pick<Semver, 'major' | 'minor' | 'patch' | 'prerelease'>) {
    this.major = parts.major;
    this.minor = parts.minor;
    this.patch = parts.patch;
    this.prerelease = parts.prerelease;
  }
}

const number = '(0|[1-9]\\d*)';
const identifiers = (one: string) => `${one}(?:\\.${one})*`;
const pattern = new RegExp(`^${number}\\.${number}\\.${number}(?:-(${identifiers('(?:0|[1-9]\\d*|\\d*[A-Za-z-][\\dA-Za-z-]*)')}))?(?:\\+${identifiers('[\\dA-Za-z-]+')})?$`);
const maxUint64 = 2n ** 64n - 1n;

/**
 * @param tolerant takes a leading `v`, leading zeros, and one or two numbers only, as in `v1.2`
 * @throws CelFault when the text is no version; the message does not repeat it
 */
function parseSemver(text: string, tolerant = false): Semver {
  const parts = text.length > 256 ? null : pattern.exec(tolerant ? normalise(text) : text);
  if (parts === null) throw new CelFault('the text is not a version such as 1.2.3');
  const [major, minor, patch] = [parts[1], parts[2], parts[3]].map((digits) => BigInt(digits ?? '0')) as [bigint, bigint, bigint];
  if (major > maxUint64 || minor > maxUint64 || patch > maxUint64) throw new CelFault('a number of the version is too large');
  return new Semver({ major, minor, patch, prerelease: parts[4]?.split('.') ?? [] });
}

function normalise(text: string): string {
  const [major = '', minor, ...patch] = (text.startsWith('v') ? text.slice(1) : text).split('.');
  const parts = [major, ...(minor === undefined ? [] : [minor]), ...(patch.length === 0 ? [] : [patch.join('.')])].map((part) =>
    part.length > 1 ? withoutLeadingZeros(part) : part,
  );
  if (parts.length < 3 && /[+-]/.test(parts.at(-1) ?? '')) throw new CelFault('a version with less than three numbers cannot have a suffix');
  while (parts.length < 3) parts.push('0');
  return parts.join('.');
}

/** Without them, but a part always begins with a digit. */
function withoutLeadingZeros(part: string): string {
  const trimmed = part.replace(/^0+/, '');
  return /^\d/.test(trimmed) ? trimmed : `0${trimmed}`;
}

function isSemver(text: string, tolerant = false): boolean {
  try {
    parseSemver(text, tolerant);
    return true;
  } catch {
    return false;
  }
}

function compare(left: Semver, right: Semver): bigint {
  for (const part of ['major', 'minor', 'patch'] as const) {
    if (left[part] !== right[part]) return left[part] < right[part] ? -1n : 1n;
  }
  return comparePrerelease(left.prerelease, right.prerelease);
}

/** A version with a prerelease comes before the one without; numbers come before words. */
function comparePrerelease(left: readonly string[], right: readonly string[]): bigint {
  if (left.length === 0 || right.length === 0) return left.length === right.length ? 0n : left.length === 0 ? 1n : -1n;
  for (let i = 0; i < left.length && i < right.length; i++) {
    const order = compareIdentifiers(left[i] as string, right[i] as string);
    if (order !== 0n) return order;
  }
  return BigInt(Math.sign(left.length - right.length));
}

function compareIdentifiers(left: string, right: string): bigint {
  const [leftIsNumber, rightIsNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
  if (leftIsNumber !== rightIsNumber) return leftIsNumber ? -1n : 1n;
  const before = leftIsNumber ? BigInt(left) < BigInt(right) : left < right;
  return left === right ? 0n : before ? -1n : 1n;
}

const type = 'kubernetes.Semver';

export const semverLibrary: Library = {
  types: [{ name: type, ctor: Semver }],
  functions: [
    { signature: `semver(string): ${type}`, handler: (text: string) => parseSemver(text) },
    { signature: `semver(string, bool): ${type}`, handler: parseSemver },
    { signature: 'isSemver(string): bool', handler: (text: string) => isSemver(text) },
    { signature: 'isSemver(string, bool): bool', handler: isSemver },
    { signature: `${type}.major(): int`, handler: ({ major }: Semver) => major },
    { signature: `${type}.minor(): int`, handler: ({ minor }: Semver) => minor },
    { signature: `${type}.patch(): int`, handler: ({ patch }: Semver) => patch },
    { signature: `${type}.isLessThan(${type}): bool`, handler: (left: Semver, right: Semver) => compare(left, right) < 0n },
    { signature: `${type}.isGreaterThan(${type}): bool`, handler: (left: Semver, right: Semver) => compare(left, right) > 0n },
    { signature: `${type}.compareTo(${type}): int`, handler: compare },
  ],
};
