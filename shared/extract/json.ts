/**
 * A JSON value as Kollect holds it: plain objects and arrays, with integers beyond 2^53 as `bigint` so that no digit is lost.
 */
export type Json = null | boolean | number | bigint | string | Json[] | JsonObject;

export interface JsonObject {
  [key: string]: Json;
}

/** Adds a member, or replaces it, whatever its name. */
export function setMember(object: { [key: string]: unknown }, key: string, value: unknown): void {
  // Assigning to this name would set a prototype.
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

/** True for a JSON object; false for arrays, null and scalars. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
