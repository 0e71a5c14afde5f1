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

const lookAtNetwork = 'look at the network, its policies and firewalls';

const networkTexts: Readonly<Record<string, [fault: string, advice: string]>> = {
  ECONNREFUSED: ['nothing listens there', 'correct host and port, or start the server'],
  ECONNRESET: ['the connection was reset', 'see whether the server takes connections of this kind, with or without TLS'],
  EPIPE: ['the connection was closed', 'see whether the server takes connections of this kind, with or without TLS'],
  ETIMEDOUT: ['no answer in time', lookAtNetwork],
  EHOSTUNREACH: ['no route to it', lookAtNetwork],
  ENETUNREACH: ['no route to it', lookAtNetwork],
};

/** What a failed connection means, and what to do; undefined when the error is about something else. */
export function networkFault(error: unknown): string | undefined {
  const code = errorCode(error);
  if (code === undefined || !networkCodes.has(code)) return undefined;
  const [fault, advice] = networkTexts[code] ?? ['the connection failed', lookAtNetwork];
  return `${fault} (${code}): ${advice}`;
}

const ofAuthority: [string, string] = ['comes from an authority that is not trusted', 'name that authority in spec.tls.caSecretRef or spec.tls.caBundle'];

const certificateTexts: Readonly<Record<string, [fault: string, advice: string]>> = {
  CERT_HAS_EXPIRED: ['has expired', 'renew it'],
  CERT_NOT_YET_VALID: ['is not valid yet', 'look at the clocks of both machines'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['is for another host', 'write a host that it names, or have it issued for this one'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['is signed by itself', 'name it, or the authority of another one, in spec.tls.caSecretRef or spec.tls.caBundle'],
  SELF_SIGNED_CERT_IN_CHAIN: ofAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ofAuthority,
  UNABLE_TO_GET_ISSUER_CERT: ofAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ofAuthority,
};

/** Why TLS did not come about, and what to do; undefined when the error is about something else. */
export function tlsFault(error: unknown): string | undefined {
  const code = errorCode(error);
  if (code === undefined) return undefined;
  const known = certificateTexts[code];
  if (known !== undefined) return `the certificate of the server ${known[0]} (${code}): ${known[1]}`;
  // What the server says of our certificate.
  if (/ALERT_(?:CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE|HANDSHAKE_FAILURE)/.test(code)) {
    return `the server asks for a client certificate, or does not take ours (${code}): correct spec.tls.clientCertificateSecretRef`;
  }
  return /^(?:ERR_SSL_|ERR_TLS_|CERT_)/.test(code) ? `TLS could not be set up (${code}): see whether the server speaks TLS at this port, and correct spec.tls` : undefined;
}

function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** What to do where rows have an owner, and the writer does not know its own installation. */
export const unknownInstallation = 'an installation is known by the uid of the Namespace kube-system; allow reading it, and put it into a dump that is exported';
