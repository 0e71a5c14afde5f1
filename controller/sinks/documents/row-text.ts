/** What the payload of a row says beside its attributes. `group` is missing for the core group. */
export interface RowHead {
  targetNamespace: string;
  targetName: string;
  namespace: string;
  name: string;
  group?: string;
  version: string;
  kind: string;
  uid: string;
}

/** A payload in two parts, without parsing the larger one. */
export interface RowText {
  head: RowHead;
  /** Canonical JSON of the attributes; `null` when there are none. */
  attributes: string;
}

/** No string holds this: a quote inside of one has a backslash before it. All keys before it are of the row itself. */
const beforeAttributes = ',"attributes":';

/** @param payload canonical JSON of a row */
export function rowText(payload: string): RowText {
  const at = payload.indexOf(beforeAttributes);
  return { head: JSON.parse(`${payload.slice(0, at)}}`) as RowHead, attributes: payload.slice(at + beforeAttributes.length, -1) };
}
