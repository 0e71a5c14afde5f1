import type { CelCheck } from './crd-validation.ts';
import type { StructuralSchema } from './structural-schema.ts';

/** Writes checks to the nodes of a schema that they are about. Throws for a place that the schema does not have. */
export function attachValidations(schema: StructuralSchema, checks: readonly CelCheck[]): void {
  for (const { at, expression: rule, message, messageExpression, fieldPath, reason } of checks) {
    const node = nodeAt(schema, at);
    if (fieldPath !== undefined) nodeAt(schema, `${at}${fieldPath}`);
    const validations = (node['x-kubernetes-validations'] ??= []) as unknown[];
    validations.push({ rule, message, ...(messageExpression && { messageExpression }), ...(fieldPath && { fieldPath }), ...(reason && { reason }) });
  }
}

function nodeAt(schema: StructuralSchema, at: string): StructuralSchema {
  let node: StructuralSchema | undefined = schema;
  for (const step of at.replaceAll('[]', '.[]').split('.')) node = step === '[]' ? node?.items : node?.properties?.[step];
  if (node === undefined) throw new Error(`the schema has no ${at}`);
  return node;
}
