/** A review as far as it can be parsed without keeping the process. */
export interface ReadableReview {
  text: string;
  /** The object has more values than any that could be judged, and null stands in its place. */
  isObjectLeftOut: boolean;
}

/**
 * More than the largest object of these kinds has in its spec, with the managed fields of several who apply it. Parsing takes 70 ms for 100,000 members with long names,
 * and a review of 7 MB could have millions.
 */
const maxValues = 50_000;

/** What shorter texts hold is parsed in some milliseconds, whatever it is. */
const alwaysReadableLength = 256 * 1024;

/**
 * Looks over a large review before it is parsed, which cannot be interrupted. Where there are too many values, what is stored already is left out first: an update is then
 * judged like a new object. Then the object is. Long texts are no matter.
 *
 * @returns undefined where still too much is left
 */
export function readableReview(text: string): ReadableReview | undefined {
  if (text.length <= alwaysReadableLength) return { text, isObjectLeftOut: false };
  const { values, parts } = outline(text);
  let left = values;
  let readable = text;
  let isObjectLeftOut = false;
  for (const name of ['oldObject', 'object']) {
    for (const part of parts.filter((candidate) => candidate.name === name)) {
      if (left <= maxValues) return { text: readable, isObjectLeftOut };
      left -= part.values;
      // As long as before, so that the places of the others stay as they are.
      readable = readable.slice(0, part.start) + 'null'.padEnd(part.end - part.start) + readable.slice(part.end);
      isObjectLeftOut ||= name === 'object';
    }
  }
  return left <= maxValues ? { text: readable, isObjectLeftOut } : undefined;
}

/** A member two levels deep: of the request of a review. */
interface Part {
  name: string;
  start: number;
  end: number;
  values: number;
}

/** Counts the lists, objects and further members of a JSON text, in all and by part. Anything may stand in the text. */
function outline(text: string): { values: number; parts: Part[] } {
  const parts: Part[] = [];
  let values = 0;
  let depth = 0;
  let last = '';
  let open: Part | undefined;
  const close = (end: number): void => {
    if (open !== undefined) parts.push({ ...open, end, values: values - open.values });
    open = undefined;
  };
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote: {
        const from = at + 1;
        for (at = from; at < text.length && text.charCodeAt(at) !== quote; at++) if (text.charCodeAt(at) === backslash) at++;
        if (depth === 2 && open === undefined) last = text.slice(from, at);
        break;
      }
      case colon:
        if (depth === 2 && open === undefined && (last === 'object' || last === 'oldObject')) open = { name: last, start: at + 1, end: at + 1, values };
        break;
      case comma:
        if (depth === 2) close(at);
        values++;
        break;
      case openBrace:
      case openBracket:
        depth++;
        values++;
        break;
      case closeBrace:
      case closeBracket:
        if (depth === 2) close(at);
        depth--;
        break;
    }
  }
  return { values, parts };
}

const [quote, backslash, colon, comma, openBrace, closeBrace, openBracket, closeBracket] = [0x22, 0x5c, 0x3a, 0x2c, 0x7b, 0x7d, 0x5b, 0x5d] as const;
