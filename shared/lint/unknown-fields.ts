import { invalid, shownKey } from '../admission/finding.ts';
import type { Report } from '../admission/finding.ts';
import { fieldSchema } from '../crd/schema-defaults.ts';
import type { StructuralSchema } from '../crd/structural-schema.ts';
import { nearestName } from '../nearest.ts';

/**
 * Reports every field, at any depth, that a schema does not have. An API server drops them silently or refuses them, as the client
 * asks for; no rule of admission gets to see them.
 *
 * @param field where the value is, such as `spec`; `""` for a whole object.
 * @example unknownFields(structuralSchema(KollectTargetSpec), { profilRef: 'web' }, 'spec', report)
 * // spec.profilRef: Invalid value: "profilRef": is not a known field; did you mean profileRef?
 */
export function unknownFields(schema: StructuralSchema, value: unknown, field: string, report: Report): void {
  walk(schema, value, field, (key, at, parent) => report(invalid(at, shownKey(key), `is not a known field; ${suggestion(key, field, schema, parent)}`)));
}

function walk(schema: StructuralSchema, value: unknown, field: string, unknown: (key: string, at: string, parent: StructuralSchema) => void): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items !== undefined) for (const [index, item] of value.entries()) walk(items, item, `${field}[${index}]`, unknown);
    return;
  }
  if (typeof value !== 'object' || value === null || schema.type !== 'object') return;
  for (const [key, child] of Object.entries(value)) {
    const childSchema = fieldSchema(schema, key);
    const isNamed = schema.properties !== undefined && Object.hasOwn(schema.properties, key);
    const isPlain = schema.additionalProperties === undefined && /^[A-Za-z_]\w*$/.test(key) && shownKey(key) === key;
    const at = isNamed || isPlain ? below(field, key) : `${field}[${shownKey(key)}]`;
    if (childSchema !== undefined) walk(childSchema, child, at, unknown);
    else if (schema['x-kubernetes-preserve-unknown-fields'] !== true) unknown(key, at, schema);
  }
}

/** More than these are not read. */
const maxPlaces = 3;
const maxNames = 12;

/** A slip of the keyboard, or the right name at the wrong depth, else what there is. */
function suggestion(key: string, field: string, root: StructuralSchema, parent: StructuralSchema): string {
  const names = Object.keys(parent.properties ?? {});
  const near = nearestName(key, names);
  if (near !== undefined) return `did you mean ${near}?`;
  const elsewhere = placesOf(key, field, root);
  if (elsewhere.length > 0 && elsewhere.length <= maxPlaces) return `did you mean ${elsewhere.join(' or ')}?`;
  return names.length === 0 ? 'there are none here' : `known are ${names.slice(0, maxNames).join(', ')}${names.length > maxNames ? ', …' : ''}`;
}

function placesOf(key: string, field: string, schema: StructuralSchema): string[] {
  return [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => [...(name === key ? [below(field, name)] : []), ...placesOf(key, below(field, name), child)]),
    ...(schema.items === undefined ? [] : placesOf(key, `${field}[]`, schema.items)),
  ];
}

function below(field: string, name: string): string {
  return field === '' ? name : `${field}.${name}`;
}
