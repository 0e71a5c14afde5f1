import { gunzipSync } from 'node:zlib';
import { KollectError } from '../errors.ts';
import { parseJson } from '../kube/json.ts';
import { isJsonObject } from './json.ts';
import type { JsonObject } from './json.ts';

/**
 * The release document that Helm keeps in a Secret of the type `helm.sh/release.v1`: base64 of the API server around base64 of Helm around
 * gzip around JSON. The inner base64 and gzip may be missing, as with old versions and other storage drivers.
 *
 * @throws KollectError KOL_EXTRACT_EVALUATE; the message holds nothing of the release
 * @example decodeHelmRelease(secret).chart // { metadata: { name: 'cart', version: '1.2.3', … }, … }
 */
export function decodeHelmRelease(secret: JsonObject): JsonObject {
  const { data } = secret;
  const text = isJsonObject(data) && Object.hasOwn(data, 'release') ? data.release : undefined;
  if (typeof text !== 'string') throw fault('the Secret has no data.release; select the Secrets of Helm by the label owner: helm');
  const outer = decodeBase64(text);
  if (outer === undefined) throw fault('data.release is not base64');
  const inner = decodeBase64(outer.toString('latin1')) ?? outer;
  const release = parse(isGzip(inner) ? inflate(inner) : inner);
  if (!isJsonObject(release)) throw fault('data.release holds no release document');
  return release;
}

/** Releases are below 1 MiB compressed, as all Secrets are; charts compress about four to one. */
const maxReleaseBytes = 8 * 1024 * 1024;

function inflate(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxReleaseBytes });
  } catch (error) {
    const tooLarge = error instanceof RangeError;
    throw fault(tooLarge ? `data.release unpacks to more than ${maxReleaseBytes} bytes` : 'data.release cannot be unpacked: it is not valid gzip');
  }
}

function parse(bytes: Buffer): unknown {
  if (bytes.length > maxReleaseBytes) throw fault(`data.release has more than ${maxReleaseBytes} bytes`);
  try {
    return parseJson(bytes.toString('utf8'));
  } catch {
    // The error of the parser would quote the release.
    throw fault('data.release is not JSON');
  }
}

/** Undefined for what is not base64; Node would skip the characters that do not belong. */
function decodeBase64(text: string): Buffer | undefined {
  return text.length % 4 === 0 && text.length > 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}

function isGzip(bytes: Buffer): boolean {
  return bytes.length > 3 && bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 0x08;
}

function fault(message: string): KollectError {
  return new KollectError('KOL_EXTRACT_EVALUATE', message);
}
