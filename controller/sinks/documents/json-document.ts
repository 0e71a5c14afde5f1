import { canonicalJson } from '../../../shared/extract/canonical-json.ts';
import type { JsonObject } from '../../../shared/extract/json.ts';
import { written, type Contents } from './document.ts';

/** Version of everything that is exported. Keys are added to it, never changed. */
export const schemaVersion = 'kollect.dev/v1alpha1';

/** The envelope: compact JSON with what is said of the whole before the rows. */
export async function* jsonDocument(contents: Contents): AsyncGenerator<Uint8Array> {
  yield Buffer.from(envelopeStart(contents));
  let separator = '';
  yield* written(contents.rows, (slice) => {
    const text = `${separator}${slice.map(({ payload }) => payload).join(',')}`;
    separator = ',';
    return text;
  });
  yield Buffer.from(envelopeEnd);
}

/** All of the envelope that stands before the rows. */
export function envelopeStart({ identity, exportedAt, rows, checksum, part }: Omit<Contents, 'rows'> & { rows: { length: number } }): string {
  const { generation, cluster } = identity;
  const head = {
    schemaVersion,
    checksum,
    ...(generation === 0 ? {} : { generation }),
    ...(part && { partIndex: part.index, partTotal: part.total }),
    itemCount: rows.length,
    exportedAt: exportedAt.toISOString(),
    ...(cluster === '' ? {} : { cluster }),
  };
  return `${ordered(head).slice(0, -1)},"items":[`;
}

export const envelopeEnd = ']}';

/** One compact row in each line. */
export async function* ndjsonDocument({ rows }: Contents): AsyncGenerator<Uint8Array> {
  yield* written(rows, (slice) => slice.map(({ payload }) => `${payload}\n`).join(''));
}

/** An object with its keys as they are, and its values in canonical form. */
function ordered(object: JsonObject): string {
  return `{${Object.entries(object).map(([key, value]) => `${JSON.stringify(key)}:${canonicalJson(value)}`).join(',')}}`;
}
