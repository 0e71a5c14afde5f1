import { JsonReader } from './json-reader.ts';

/**
 * The same JSON for people, with two blanks for each level and a line break at its end.
 *
 * @param json canonical JSON
 * @example indentedJson('{"a":[1,2]}') // '{\n  "a": [\n    1,\n    2\n  ]\n}\n'
 */
export function indentedJson(json: string): string {
  return `${valueOf(new JsonReader(json), '\n')}\n`;
}

/** @param line break and indent of the value's own end */
function valueOf(reader: JsonReader, line: string): string {
  if (reader.next === '{') return membersOf(reader, line, '}', () => `${reader.quoted()}: ${reader.skipped(':') ? valueOf(reader, `${line}  `) : ''}`);
  if (reader.next === '[') return membersOf(reader, line, ']', () => valueOf(reader, `${line}  `));
  return reader.next === '"' ? reader.quoted() : reader.word();
}

function membersOf(reader: JsonReader, line: string, end: string, member: () => string): string {
  const start = reader.next;
  reader.skip();
  if (reader.skipped(end)) return start + end;
  let text = `${start}${line}  ${member()}`;
  while (reader.skipped(',')) text += `,${line}  ${member()}`;
  reader.skip();
  return `${text}${line}${end}`;
}
