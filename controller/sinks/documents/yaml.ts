import { written, type Contents } from './document.ts';
import { JsonReader } from './json-reader.ts';
import { rowText } from './row-text.ts';
import { yamlScalar, yamlString } from './yaml-scalar.ts';

/** A list of bare rows. Keys ascend, maps are indented by two blanks, the dashes of a list stand where its key begins. */
export async function* yamlDocument({ rows }: Contents): AsyncGenerator<Uint8Array> {
  if (rows.length === 0) yield Buffer.from('[]\n');
  yield* written(rows, (slice) => slice.map(({ payload }) => `- ${rowMembers(payload, '  ')}`).join(''));
}

/** A row as a document of its own. */
export function yamlRow(payload: string): string {
  return rowMembers(payload, '');
}

/**
 * Any JSON as a document of its own, with its keys in the order that they have.
 *
 * @param json canonical JSON
 * @example yamlValue('{"a":[1,{"b":"x"}]}') // 'a:\n- 1\n- b: x\n'
 */
export function yamlValue(json: string): string {
  const text = valueOf(new JsonReader(json), '', 'document');
  return text.startsWith(' ') ? text.slice(1) : text;
}

function rowMembers(payload: string, indent: string): string {
  const { head, attributes } = rowText(payload);
  let text = `attributes:${valueOf(new JsonReader(attributes), indent, 'member')}`;
  // In ascending order.
  for (const key of ['group', 'kind', 'name', 'namespace', 'targetName', 'targetNamespace', 'uid', 'version'] as const) {
    const value = head[key];
    if (value !== undefined) text += `${indent}${key}: ${yamlScalar(value, indent)}`;
  }
  return text;
}

/** What a value follows: nothing, `key:` or `-`. */
type Place = 'document' | 'member' | 'item';

/**
 * The text of a value, from after the colon or dash before it to the end of its last line.
 *
 * @param indent of the key or dash that it belongs to
 */
function valueOf(reader: JsonReader, indent: string, place: Place): string {
  if (reader.next === '{') return mapOf(reader, indent, place);
  if (reader.next === '[') return listOf(reader, indent, place);
  return reader.next === '"' ? ` ${yamlScalar(reader.string(), indent)}` : ` ${reader.word()}\n`;
}

function mapOf(reader: JsonReader, indent: string, place: Place): string {
  reader.skip();
  if (reader.skipped('}')) return ' {}\n';
  const own = place === 'document' ? indent : `${indent}  `;
  let text = start(place);
  let first = place !== 'member';
  do {
    const key = yamlString(reader.string());
    reader.skip();
    // A key of more characters needs a mark of its own.
    const mark = key.length > longestKey ? `? ${key}\n${own}:` : `${key}:`;
    text += `${first ? '' : own}${mark}${valueOf(reader, own, 'member')}`;
    first = false;
  } while (reader.skipped(','));
  reader.skip();
  return text;
}

function listOf(reader: JsonReader, indent: string, place: Place): string {
  reader.skip();
  if (reader.skipped(']')) return ' []\n';
  const own = place === 'item' ? `${indent}  ` : indent;
  let text = start(place);
  let first = place !== 'member';
  do {
    text += `${first ? '' : own}-${valueOf(reader, own, 'item')}`;
    first = false;
  } while (reader.skipped(','));
  reader.skip();
  return text;
}

function start(place: Place): string {
  return place === 'member' ? '\n' : place === 'item' ? ' ' : '';
}

/** What a parser looks for the colon in, with room for quotes. */
const longestKey = 1_000;
