import { gunzipSync } from 'node:zlib';
import { KollectError } from '../errors.ts';
import { parseJson } from '../kube/json.ts';
import { isJsonObject } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { jsonMembers } from './json-members.ts';
import type { Span } from './json-members.ts';

/**
 * The release document that Helm keeps in a Secret of the type `helm.sh/release.v1`, without manifests, hooks and the files of the chart: base64 of the API server
 * around base64 of Helm around gzip around JSON. The inner base64 and gzip may be missing, as with old versions and other storage drivers.
 *
 * @throws KollectError KOL_EXTRACT_EVALUATE; the message holds nothing of the release
 * @example decodeHelmRelease(secret).chart // { metadata: { name: 'cart', version: '1.2.3', … } }
 */
export function decodeHelmRelease(secret: JsonObject): JsonObject {
  const { data } = secret;
  const text = isJsonObject(data) && Object.hasOwn(data, 'release') ? data.release : undefined;
  if (typeof text !== 'string') throw fault('the Secret has no data.release; select the Secrets of Helm by the label owner: helm');
  const outer = decodeBase64(text);
  if (outer === undefined) throw fault('data.release is not base64');
  const inner = decodeBase64(outer.toString('latin1')) ?? outer;
  return readRelease(isGzip(inner) ? inflate(inner) : inner);
}

/** Releases are below 1 MiB compressed, as all Secrets are; charts compress about four to one. */
const maxReleaseBytes = 8 * 1024 * 1024;
/** Of what is read of a release, which is mostly the values that were given to it. The worst JSON takes some 50 ms to parse. */
const maxReadBytes = 512 * 1024;

/** What a release holds most of, and must not be exported. */
const unreadMembers = ['manifest', 'hooks'];
const unreadChartMembers = ['templates', 'files', 'values', 'raw', 'schema'];

function readRelease(bytes: Buffer): JsonObject {
  if (bytes.length > maxReleaseBytes) throw fault(`data.release has more than ${maxReleaseBytes} bytes`);
  const members = jsonMembers(bytes);
  if (members === undefined) throw fault(isJson(bytes) ? 'data.release holds no release document' : 'data.release is not JSON');
  for (const name of unreadMembers) members.delete(name);
  const chart = members.get('chart');
  const chartMembers = chart && jsonMembers(bytes, chart);
  for (const name of unreadChartMembers) chartMembers?.delete(name);
  if (chartMembers) members.delete('chart');
  const spans = [...members.values(), ...(chartMembers?.values() ?? [])];
  if (spans.reduce((sum, { start, end }) => sum + end - start, 0) > maxReadBytes) throw fault(`data.release has more than ${maxReadBytes} bytes besides manifests and the files of its chart`);
  const release = parsed(bytes, members);
  return chartMembers ? { ...release, chart: parsed(bytes, chartMembers) } : release;
}

function parsed(bytes: Buffer, members: ReadonlyMap<string, Span>): JsonObject {
  try {
    return Object.fromEntries([...members].map(([key, { start, end }]): [string, Json] => [key, parseJson(bytes.toString('utf8', start, end)) as Json]));
  } catch {
    // The error of the parser would quote the release.
    throw fault('data.release is not JSON');
  }
}

/** Only for the words of an error, and so no further than is quick. */
function isJson(bytes: Buffer): boolean {
  if (bytes.length > maxReadBytes) return false;
  try {
    parseJson(bytes.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

function inflate(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxReleaseBytes });
  } catch (error) {
    const tooLarge = error instanceof RangeError;
    throw fault(tooLarge ? `data.release unpacks to more than ${maxReleaseBytes} bytes` : 'data.release cannot be unpacked: it is not valid gzip');
  }
}

/** Undefined for what is not base64; Node skips the characters that do not belong, which makes the result shorter. */
function decodeBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || text.length === 0) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === (text.length / 4) * 3 - padding ? bytes : undefined;
}

function isGzip(bytes: Buffer): boolean {
  return bytes.length > 3 && bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 0x08;
}

function fault(message: string): KollectError {
  return new KollectError('KOL_EXTRACT_EVALUATE', message);
}
