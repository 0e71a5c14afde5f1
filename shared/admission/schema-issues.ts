import type { z } from 'zod';

/** What the schema of a kind refuses in a spec; empty when nothing. Never throws, whatever the shape of the spec. */
export function schemaIssues(schema: z.ZodType, spec: unknown): readonly z.core.$ZodIssue[] {
  try {
    return schema.safeParse(spec).error?.issues ?? [];
  } catch {
    // Where a text or a list is expected, the library compares the length of whatever is there, and a field of that name may hold what has no order.
    const comparable = JSON.parse(JSON.stringify(spec, (key, value: unknown) => (key === 'length' && typeof value === 'object' ? true : value))) as unknown;
    return schema.safeParse(comparable).error?.issues ?? [];
  }
}
