/** Versions of one resource are comparable where they are numbers, which they are at every kube-apiserver. */
export function isComparable(version: string): boolean {
  return /^\d+$/.test(version);
}

/** False when it cannot be told. */
export function isBefore(version: string, last: string | undefined): boolean {
  if (last === undefined || !isComparable(version) || !isComparable(last)) return false;
  return version.length === last.length ? version < last : version.length < last.length;
}
