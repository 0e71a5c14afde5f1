import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { z } from 'zod';
import type { SinkTls } from '../../../shared/api/sink-common.ts';
import { KollectError } from '../../../shared/errors.ts';
import { resolveSecret, type ReadSecret, type ResolvedSecret } from './secrets.ts';

type TlsSpec = z.infer<typeof SinkTls>;

/** Keys of a CA Secret, the first that holds something wins: those of cert-manager, of most charts, of older ones. */
const caKeys = ['tls.crt', 'ca.crt', 'ca.pem'] as const;

/**
 * The authorities that a sink names in place of the system's, as PEM; undefined when it names none. Throws `KOL_SINK_CONFIG` for text
 * that is no certificate and `KOL_SINK_SECRET` for a Secret without one.
 */
export async function resolveCa(
  tls: TlsSpec | undefined,
  sinkNamespace: string,
  readSecret: ReadSecret,
): Promise<{ pem: string | undefined; secret: ResolvedSecret | undefined }> {
  if (tls?.caBundle && tls.caSecretRef) throw new KollectError('KOL_SINK_CONFIG', 'spec.tls sets both caBundle and caSecretRef: keep one of them');
  if (tls?.caBundle) {
    return { pem: certificates(Buffer.from(tls.caBundle, 'base64').toString('utf8'), 'spec.tls.caBundle'), secret: undefined };
  }
  if (!tls?.caSecretRef) return { pem: undefined, secret: undefined };
  const secret = await resolveSecret(tls.caSecretRef, sinkNamespace, readSecret);
  return { pem: certificates(secret.values.require(...caKeys), `secret "${secret.key}" of spec.tls.caSecretRef`), secret };
}

/**
 * The certificate and key of `spec.tls.clientCertificateSecretRef`. Throws `KOL_SINK_SECRET_KEY` when the Secret lacks one of them, and `KOL_SINK_CONFIG` when
 * nobody can show them.
 */
export async function resolveClientCertificate(
  tls: TlsSpec | undefined,
  sinkNamespace: string,
  readSecret: ReadSecret,
): Promise<{ cert: string; key: string; secret: ResolvedSecret } | undefined> {
  if (!tls?.clientCertificateSecretRef) return undefined;
  const secret = await resolveSecret(tls.clientCertificateSecretRef, sinkNamespace, readSecret);
  const [cert, key] = [secret.values.require('tls.crt'), secret.values.require('tls.key')];
  const where = `secret "${secret.key}" of spec.tls.clientCertificateSecretRef`;
  const read = <T>(name: string, reads: () => T): T => {
    try {
      return reads();
    } catch {
      throw new KollectError('KOL_SINK_CONFIG', `${name} of ${where} cannot be read: put PEM into it, the key without a passphrase`);
    }
  };
  const certificate = read('tls.crt', () => new X509Certificate(cert));
  const isItsKey = certificate.checkPrivateKey(read('tls.key', () => createPrivateKey(key)));
  if (!isItsKey) throw new KollectError('KOL_SINK_CONFIG', `tls.key of ${where} is not the key of tls.crt: put both of one certificate into it`);
  return { cert, key, secret };
}

function certificates(pem: string, where: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new KollectError('KOL_SINK_CONFIG', `${where} holds no PEM certificate: put that of the authority into it`);
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch {
      throw new KollectError('KOL_SINK_CONFIG', `certificate ${index + 1} of ${where} cannot be read: put PEM certificates into it`);
    }
  }
  return blocks.join('\n');
}
