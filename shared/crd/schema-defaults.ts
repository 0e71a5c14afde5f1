import type { StructuralSchema } from './structural-schema.ts';

/**
 * A value with the defaults of its schema, filled in as the API server does: only where the parent is there, an explicit null counting as
 * missing. Fields that the schema does not have stay. What is unchanged may be shared with the argument, which stays as it is.
 *
 * @example withSchemaDefaults(structuralSchema(KollectProfileSpec), { export: {} }) // { export: { mode: 'Attributes', … } }
 */
export function withSchemaDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item) => withSchemaDefaults(items, item));
  }
  if (typeof value !== 'object' || value === null) return value;
  const given = Object.entries(value).flatMap(([key, child]): [string, unknown][] => {
    const childSchema = fieldSchema(schema, key);
    if (childSchema === undefined) return [[key, child]];
    return child === null && childSchema.nullable !== true ? [] : [[key, withSchemaDefaults(childSchema, child)]];
  });
  const result = Object.fromEntries(given);
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    if (child.default !== undefined && !Object.hasOwn(result, key)) result[key] = structuredClone(child.default);
  }
  return result;
}

/** The schema of a field of an object, by its name or as any of many; undefined when the schema does not know it. */
export function fieldSchema({ properties, additionalProperties }: StructuralSchema, key: string): StructuralSchema | undefined {
  return properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
}
