import { invalid, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import { secretReference } from './names.ts';

interface LooseSecretReference {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
}

interface LooseTls {
  readonly insecureSkipVerify?: boolean | undefined;
  /** Base64 of PEM. */
  readonly caBundle?: string | undefined;
  readonly caSecretRef?: LooseSecretReference | undefined;
  readonly clientCertificateSecretRef?: LooseSecretReference | undefined;
}

/** A chain of a few authorities is below 10 KiB; whole trust stores belong into a Secret. */
const maxBundleBytes = 64 * 1024;

/** Whom a sink trusts, and as whom it is trusted. */
export function tlsSettings(field: string, tls: LooseTls | undefined, report: Report): void {
  if (tls === undefined) return;
  const { caBundle, caSecretRef } = tls;
  if (caBundle !== undefined && caSecretRef !== undefined) report(invalid(field, 'caBundle, caSecretRef', 'trust comes from one place: keep one of the two'));
  if (caBundle !== undefined) bundle(`${field}.caBundle`, caBundle, report);
  secretReference(`${field}.caSecretRef`, caSecretRef, report);
  secretReference(`${field}.clientCertificateSecretRef`, tls.clientCertificateSecretRef, report);
  if (tls.insecureSkipVerify === true) report(warning(`${field}.insecureSkipVerify`, 'the certificate of the sink is not verified: anyone on the way can read and change what is exported'));
}

function bundle(field: string, base64: string, report: Report): void {
  if (base64.length > (maxBundleBytes / 3) * 4 + 4) report(invalid(field, `${base64.length} characters`, 'must be at most 64 KiB; put a larger bundle into a Secret and name it in caSecretRef'));
  else if (!/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/.test(Buffer.from(base64, 'base64').toString('latin1'))) {
    report(invalid(field, `${base64.length} characters`, 'must be the base64 of PEM certificates, as in `base64 -w0 ca.crt`'));
  }
}
