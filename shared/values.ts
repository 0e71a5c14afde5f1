/** True for an object with members: neither a list nor null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value that should be a text; `""` for all that is none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Whether an optional text says something: blanks say nothing. */
export function isSet(text: string | undefined): text is string {
  return text !== undefined && text.trim() !== '';
}
