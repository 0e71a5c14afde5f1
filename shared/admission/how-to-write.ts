import type { z } from 'zod';
import { parseQuantity } from '../extract/cel-library/quantity.ts';
import { shown } from '../extract/shown.ts';

/**
 * What to write instead of a value of another type, as the end of a message; `""` where only the reader knows.
 *
 * @param expected as zod calls it
 * @example howToWrite('spec.maxExportBytes', 'number', '10Mi') // '; write 10485760'
 */
export function howToWrite(field: string, expected: string, value: unknown): string {
  switch (expected) {
    case 'string':
      if (typeof value !== 'number' && typeof value !== 'boolean') return '';
      return field.endsWith('Interval') ? '; write a duration such as "30s"' : `; write it in quotes: "${value}"`;
    case 'int':
    case 'number': {
      const number = typeof value === 'string' ? wholeNumber(value) : undefined;
      return number === undefined ? '' : `; write ${number}`;
    }
    case 'boolean':
      return value === 'true' || value === 'false' ? `; write ${value} without quotes` : '';
    case 'array':
      return typeof value === 'string' ? `; write [${shown(value)}]` : '';
    case 'object':
      return typeof value === 'string' && field.endsWith('Ref') ? `; write ${reference(value)}` : '';
    default:
      return '';
  }
}

/** Of a number in quotes, and of a quantity such as 10Mi. */
function wholeNumber(text: string): bigint | undefined {
  try {
    const { nano } = parseQuantity(text.trim());
    return nano % 1_000_000_000n === 0n ? nano / 1_000_000_000n : undefined;
  } catch {
    return undefined;
  }
}

/** `namespace/name` as the fields that it means. */
function reference(text: string): string {
  const [namespace, name] = text.includes('/') ? text.split('/') : [undefined, text];
  return shown(JSON.stringify({ name, namespace })).slice(1, -1).replaceAll('\\"', '"');
}

/**
 * Looks up what a schema says of a field, without what it does when unset.
 *
 * @example describer(KollectProfileSpec)(['targetGVK', 'kind']) // 'Kind, such as Deployment.'
 */
export function describer(schema: z.ZodType): (path: readonly PropertyKey[]) => string | undefined {
  return (path) => {
    let place: Schema | undefined = schema as Schema;
    for (const key of path) place = place && below(inner(place), key);
    const description = place && (place.meta()?.description ?? inner(place).meta()?.description);
    return description?.replace(/;.*$/, '').replace(/\.$/, '').replace(/^./, (first) => first.toLowerCase());
  };
}

/** The parts of zod's schemas that lead to their members. */
interface Schema extends z.ZodType {
  unwrap?: () => Schema;
  shape?: Readonly<Record<PropertyKey, Schema>>;
  element?: Schema;
  valueType?: Schema;
}

function inner(schema: Schema): Schema {
  // An array unwraps to its element, which is no place of its own.
  return schema.element === undefined && typeof schema.unwrap === 'function' ? inner(schema.unwrap()) : schema;
}

function below({ shape, element, valueType }: Schema, key: PropertyKey): Schema | undefined {
  if (shape !== undefined) return Object.hasOwn(shape, key) ? shape[key] : undefined;
  return element ?? valueType;
}
