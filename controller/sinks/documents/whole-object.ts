import { KollectError } from '../../../shared/errors.ts';
import { JsonReader } from './json-reader.ts';
import { rowText } from './row-text.ts';

/** The attribute that holds a whole object where a profile names none. */
const defaultKey = 'resource';

/** The only attribute of a row, if it is the object that was collected; undefined otherwise. */
export function manifestKey(payload: string): string | undefined {
  const { head, attributes } = rowText(payload);
  const found = objectsIn(attributes);
  const [only] = found;
  return found.length === 1 && only !== undefined && kindOf(only.text)?.toLowerCase() === head.kind.toLowerCase() ? only.key : undefined;
}

/** The object that was collected, as canonical JSON. Throws `KOL_SINK_CONFIG` for a row without one. */
export function manifestText(payload: string): string {
  const { head, attributes } = rowText(payload);
  const found = objectsIn(attributes);
  const whole = found.find(({ key }) => key === defaultKey) ?? (found.length === 1 ? found[0] : undefined);
  if (whole === undefined || !whole.text.startsWith('{')) throw new KollectError('KOL_SINK_CONFIG', `the row ${JSON.stringify(head.name)} holds no whole object, which the layout with manifests needs: let the profile export the resource, or set spec.layout.content`);
  return whole.text;
}

/** The attributes of a row, and what each says. */
function objectsIn(attributes: string): { key: string; text: string }[] {
  const reader = new JsonReader(attributes);
  const found: { key: string; text: string }[] = [];
  if (!reader.skipped('{') || reader.skipped('}')) return found;
  do {
    const key = reader.string();
    reader.skip();
    found.push({ key, text: reader.value() });
  } while (reader.skipped(','));
  return found;
}

function kindOf(json: string): string | undefined {
  if (!json.startsWith('{"apiVersion":"') || json.startsWith('{"apiVersion":""')) return undefined;
  const kind = objectsIn(json).find(({ key }) => key === 'kind')?.text ?? '';
  return kind.startsWith('"') && kind !== '""' ? (JSON.parse(kind) as string) : undefined;
}
