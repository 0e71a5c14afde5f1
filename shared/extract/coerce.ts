import type { Json } from './json.ts';
import { isJsonObject } from './json.ts';

/** Types that an attribute may declare, with what a value is turned into. */
export const attributeTypes = ['string', 'int', 'float', 'bool', 'list', 'map'] as const;

export type AttributeType = (typeof attributeTypes)[number];

/** The words of JSON Schema and Go for the same types. */
const otherNames: Record<string, AttributeType> = {
  integer: 'int',
  number: 'float',
  double: 'float',
  boolean: 'bool',
  array: 'list',
  object: 'map',
};

/** The type that a profile names, in any case; undefined when there is no such type. */
export function parseAttributeType(text: string): AttributeType | undefined {
  const name = text.trim().toLowerCase();
  return attributeTypes.find((type) => type === name) ?? (Object.hasOwn(otherNames, name) ? otherNames[name] : undefined);
}

/**
 * The wanted type when values of a static type can be turned into it, else a type that they can be turned into.
 *
 * @param resultType as `CompiledPath.resultType`
 * @example fittingType('list', 'string') // 'list'
 */
export function fittingType(resultType: string, wanted: AttributeType): AttributeType {
  const name = resultType.replace(/<.*$/, '');
  const fitting = Object.hasOwn(celTypes, name) ? celTypes[name] : undefined;
  return fitting === undefined || fitting.includes(wanted) ? wanted : (fitting[0] ?? wanted);
}

/** What values of the types of CEL can be turned into, the closest first. Types that are not here depend on the object. */
const celTypes: Readonly<Record<string, readonly AttributeType[]>> = {
  bool: ['bool', 'string', 'list'],
  int: ['int', 'float', 'string', 'list'],
  uint: ['int', 'float', 'string', 'list'],
  double: ['float', 'int', 'string', 'list'],
  string: ['string', 'int', 'float', 'bool', 'list'],
  bytes: ['string', 'int', 'float', 'bool', 'list'],
  'google.protobuf.Timestamp': ['string', 'list'],
  'google.protobuf.Duration': ['int', 'float', 'string', 'list'],
  list: ['list'],
  map: ['map', 'list'],
};

/**
 * Turns a value into the declared type, or gives undefined when it does not fit. Conversions are those that lose nothing: scalars to text,
 * text that is a number or bool to that, a single value to a list of one.
 */
export function coerce(value: Json, type: AttributeType): Json | undefined {
  switch (type) {
    case 'string':
      return typeof value === 'object' ? undefined : String(value);
    case 'int':
      return toInt(value);
    case 'float':
      return toFloat(value);
    case 'bool':
      return typeof value === 'boolean' ? value : value === 'true' ? true : value === 'false' ? false : undefined;
    case 'list':
      return Array.isArray(value) ? value : [value];
    case 'map':
      return isJsonObject(value) ? value : undefined;
  }
}

function toInt(value: Json): Json | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? value : undefined;
  if (typeof value !== 'string' || !/^[-+]?\d{1,30}$/.test(value)) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value.replace('+', ''));
}

function toFloat(value: Json): Json | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value !== 'string' || !/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(value)) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}
