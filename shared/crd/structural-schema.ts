import { z } from 'zod';

/** A node of a structural schema, as CustomResourceDefinitions hold it. */
export interface StructuralSchema {
  type?: string;
  description?: string;
  properties?: Record<string, StructuralSchema>;
  required?: string[];
  items?: StructuralSchema;
  additionalProperties?: StructuralSchema;
  [keyword: string]: unknown;
}

/** What a structural schema may not hold. */
const dropped = new Set(['$schema', 'propertyNames']);

/** How people read a field; all other keywords follow. */
const readingOrder = ['description', 'type', 'format', 'enum', 'default', 'nullable'];

/**
 * The structural schema of a zod schema. Metadata passes through, so that `.meta({ format: 'int64', 'x-kubernetes-list-type': 'set' })`
 * reaches the CRD as it is written; refinements do not. A node with `x-kubernetes-preserve-unknown-fields` stays without a type unless it is
 * an object. Throws for what cannot be structural, such as a union of types.
 *
 * @example structuralSchema(z.object({ name: z.string().meta({ description: 'Name.' }) }))
 * // { type: 'object', properties: { name: { type: 'string', description: 'Name.' } }, required: ['name'] }
 */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  // The input side: a field with a default may be left out.
  return convert(z.toJSONSchema(schema, { io: 'input', target: 'openapi-3.0' }) as StructuralSchema, '');
}

function convert(node: StructuralSchema, path: string): StructuralSchema {
  const open = node['x-kubernetes-preserve-unknown-fields'] === true;
  if ('anyOf' in node && !open) throw new Error(`${path || 'the schema'} is a union, which a structural schema cannot say`);
  const result: StructuralSchema = {};
  for (const [keyword, value] of Object.entries(node).sort(([a], [b]) => rank(a) - rank(b))) {
    if (dropped.has(keyword) || (open && keyword === 'anyOf') || isBoundOfNumbers(keyword, value)) continue;
    if (keyword === 'properties') {
      const properties = Object.entries(value as Record<string, StructuralSchema>);
      if (properties.length > 0) result.properties = Object.fromEntries(properties.map(([name, child]) => [name, convert(child, `${path}.${name}`)]));
    } else if (keyword === 'items') {
      result.items = convert(value as StructuralSchema, `${path}[]`);
    } else if (keyword === 'additionalProperties') {
      if (!open && typeof value === 'object' && value !== null) result.additionalProperties = convert(value as StructuralSchema, `${path}[*]`);
    } else {
      result[keyword] = value;
    }
  }
  return result;
}

function rank(keyword: string): number {
  if (keyword === 'properties' || keyword === 'items') return readingOrder.length + 1;
  const place = readingOrder.indexOf(keyword);
  return place < 0 ? readingOrder.length : place;
}

/** Every integer of zod is bounded by what a double holds; that is no rule of ours. */
function isBoundOfNumbers(keyword: string, value: unknown): boolean {
  return (keyword === 'minimum' && value === Number.MIN_SAFE_INTEGER) || (keyword === 'maximum' && value === Number.MAX_SAFE_INTEGER);
}
