import { gzipSync, zstdCompressSync } from 'node:zlib';
import { jsonMembers } from '../../../shared/extract/json-members.ts';
import type { EffectiveLayout } from '../../../shared/layout/layout.ts';
import type { Serialization } from '../../../shared/layout/serialization.ts';
import { indentedJson } from './indented-json.ts';
import { rowText } from './row-text.ts';
import { yamlRow, yamlValue } from './yaml.ts';

/**
 * The file of one row. Undefined for a manifest of a row that holds no object.
 *
 * @param payload canonical JSON of the row
 */
export function treeFile(payload: string, content: EffectiveLayout['content'], { format, compression }: Serialization): Uint8Array | undefined {
  const json = contentOf(payload, content);
  if (json === undefined) return undefined;
  return bytesOf(format === 'yaml' ? (content === 'item' ? yamlRow(json) : yamlValue(json)) : format === 'json' ? indentedJson(json) : `${json}\n`, compression);
}

function bytesOf(text: string, compression: Serialization['compression']): Uint8Array {
  const bytes = Buffer.from(text);
  return compression === 'gzip' ? gzipSync(bytes) : compression === 'zstd' ? zstdCompressSync(bytes) : bytes;
}

/** Whether the row is a whole object and nothing else. */
export function isManifest(payload: string): boolean {
  const { head, attributes } = rowText(payload);
  const objects = Object.values((JSON.parse(attributes) as Record<string, unknown> | null) ?? {});
  return objects.length === 1 && isObjectOf(objects[0], head.kind);
}

function contentOf(payload: string, content: EffectiveLayout['content']): string | undefined {
  if (content === 'item') return payload;
  const { head, attributes } = rowText(payload);
  if (content === 'attributes') return attributes === 'null' ? '{}' : attributes;
  return attributes === 'null' ? undefined : manifestOf(attributes, head.kind);
}

/** JSON of the attribute that holds the object, whatever the profile calls it; `resource`, which is what it calls it when it says nothing, before all others. */
function manifestOf(attributes: string, kind: string): string | undefined {
  const values = JSON.parse(attributes) as Record<string, unknown>;
  const names = Object.keys(values).filter((name) => isObjectOf(values[name], kind));
  const name = names.includes('resource') ? 'resource' : names[0];
  return name === undefined ? undefined : memberOf(attributes, name);
}

function isObjectOf(value: unknown, kind: string): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { apiVersion, kind: own } = value as { apiVersion?: unknown; kind?: unknown };
  return typeof apiVersion === 'string' && apiVersion !== '' && typeof own === 'string' && own.toLowerCase() === kind.toLowerCase();
}

/** As it is written: what is parsed loses the digits of large integers. */
function memberOf(json: string, name: string): string {
  const bytes = Buffer.from(json);
  const { start, end } = jsonMembers(bytes)!.get(name)!;
  return bytes.toString('utf8', start, end);
}
