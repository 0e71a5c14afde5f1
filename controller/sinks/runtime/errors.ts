import { KollectError, type ErrorDetails } from '../../../shared/errors.ts';
import type { Sanitize } from './sanitize.ts';

/**
 * The error that leaves a sink: of the catalogue, with a message that was sanitized, and without the original, whose text and stack
 * were not.
 */
export function sanitizedError(error: unknown, sanitize: Sanitize): KollectError {
  if (!(error instanceof KollectError)) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return new KollectError('KOL_INTERNAL', sanitize(text));
  }
  const details: ErrorDetails = { class: error.class };
  if (error.retryAfterMs !== undefined) details.retryAfterMs = error.retryAfterMs;
  return new KollectError(error.code, sanitize(error.message), details);
}

const networkCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTCONN',
]);

const networkTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
};

/** What a failed connection means, such as `ECONNREFUSED: nothing listens there`; undefined when the error is about something else. */
export function networkFault(error: unknown): string | undefined {
  const code = errorCode(error);
  if (code === undefined || !networkCodes.has(code)) return undefined;
  const text = networkTexts[code];
  return text === undefined ? code : `${code}: ${text}`;
}

const certificateTexts: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of the server has expired',
  CERT_NOT_YET_VALID: 'the certificate of the server is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the server is for another host',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate of the server comes from an authority that is not trusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate of the server is signed by itself',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate of the server comes from an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate of the server comes from an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate of the server comes from an authority that is not trusted',
};

/** Why TLS did not come about; undefined when the error is about something else. */
export function tlsFault(error: unknown): string | undefined {
  const code = errorCode(error);
  if (code === undefined) return undefined;
  if (certificateTexts[code] !== undefined) return `${certificateTexts[code]} (${code})`;
  return /^(?:ERR_SSL_|ERR_TLS_|CERT_)/.test(code) ? `TLS could not be set up (${code})` : undefined;
}

function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** What to do where rows have an owner, and the writer does not know its own installation. */
export const unknownInstallation = 'an installation is known by the uid of the Namespace kube-system; allow reading it, and put it into a dump that is exported';
