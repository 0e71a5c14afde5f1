import { z } from 'zod';

/** A node of an OpenAPI v3 schema as CustomResourceDefinitions take it. */
export interface StructuralSchema {
  type?: string;
  properties?: Record<string, StructuralSchema>;
  items?: StructuralSchema;
  additionalProperties?: StructuralSchema;
  required?: string[];
  [keyword: string]: unknown;
}

/** Keywords that mean something to the API server; the rest of JSON Schema is refused in a structural schema. */
const keywords = new Set([
  'type', 'description', 'format', 'pattern', 'enum', 'default', 'minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems', 'nullable',
]);

/**
 * Turns a zod schema into a structural schema. Unions have no structural form: their node is left open with
 * `x-kubernetes-preserve-unknown-fields`, and the rules of admission own its content.
 */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  return convert(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as Record<string, unknown>);
}

function convert(node: Record<string, unknown>): StructuralSchema {
  const nullable = withoutNull(node);
  if (nullable) return { ...convert({ ...node, ...nullable, anyOf: undefined }), nullable: true };
  const result: StructuralSchema = {};
  for (const [key, value] of Object.entries(node)) {
    if (value === undefined) continue;
    if (keywords.has(key) || key.startsWith('x-kubernetes-')) result[key] = value;
  }
  if (node['anyOf']) {
    result['x-kubernetes-preserve-unknown-fields'] = true;
    return result;
  }
  if (node['type'] === 'integer') {
    // The bounds of a safe integer are JavaScript's affair.
    if (result['minimum'] === Number.MIN_SAFE_INTEGER) delete result['minimum'];
    if (result['maximum'] === Number.MAX_SAFE_INTEGER) delete result['maximum'];
  }
  if (node['type'] === 'array') result.items = convert(node['items'] as Record<string, unknown>);
  if (node['type'] !== 'object') return result;
  const properties = Object.entries((node['properties'] ?? {}) as Record<string, Record<string, unknown>>);
  if (properties.length > 0) {
    result.properties = Object.fromEntries(properties.map(([name, property]) => [name, convert(property)]));
  } else if (isSchema(node['additionalProperties']) && !result['x-kubernetes-preserve-unknown-fields']) {
    result.additionalProperties = convert(node['additionalProperties']);
  }
  const required = node['required'] as string[] | undefined;
  if (required && required.length > 0) result.required = [...required].sort();
  return result;
}

/** `T | null` is `T` with `nullable`. */
function withoutNull(node: Record<string, unknown>): Record<string, unknown> | undefined {
  const options = node['anyOf'] as Record<string, unknown>[] | undefined;
  if (options?.length !== 2) return undefined;
  const rest = options.filter((option) => option['type'] !== 'null');
  return rest.length === 1 ? rest[0] : undefined;
}

function isSchema(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}
