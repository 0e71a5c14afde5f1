import { X509Certificate } from 'node:crypto';
import { forbidden, invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { secretReference } from './names.ts';
import type { SinkSpec } from './sink.ts';

type Input = RuleInput<SinkSpec>;

/** Whom a sink trusts, and as whom it is trusted. */
export const tlsRules: readonly Rule<SinkSpec>[] = [
  { id: 'tls-trust', field: 'spec.tls', asks: 'Must have caBundle or caSecretRef, not both.', check: trust },
  { id: 'tls-ca-bundle', field: 'spec.tls.caBundle', asks: 'Must be PEM certificates in base64, at most 64 KiB.', check: bundle },
  { id: 'tls-ca-secret-ref', field: 'spec.tls.caSecretRef', asks: 'Must name a Secret.', check: ({ spec }, report) => secretReference('spec.tls.caSecretRef', spec.tls?.caSecretRef, report) },
  { id: 'tls-client-certificate', field: 'spec.tls.clientCertificateSecretRef', asks: 'Must name a Secret.', check: ({ spec }, report) => secretReference('spec.tls.clientCertificateSecretRef', spec.tls?.clientCertificateSecretRef, report) },
  { id: 'tls-verification', field: 'spec.tls.insecureSkipVerify', asks: 'Leaves the server unverified; for development only.', advises: true, check: verification },
];

function trust({ spec: { tls } }: Input, report: Report): void {
  if (tls?.caBundle !== undefined && tls.caSecretRef !== undefined) report(invalid('spec.tls', 'caBundle, caSecretRef', 'trust comes from one place: keep one of the two'));
}

/** A chain of a few authorities is below 10 KiB; whole trust stores belong into a Secret. */
const maxBundleBytes = 64 * 1024;

function bundle({ spec: { tls } }: Input, report: Report): void {
  const field = 'spec.tls.caBundle';
  const base64 = tls?.caBundle;
  if (base64 === undefined) return;
  // The API server takes no empty bytes.
  if (base64 === '') return report(required(field, 'write the base64 of PEM certificates, or remove the field'));
  if (base64.length > Math.ceil(maxBundleBytes / 3) * 4) return report(invalid(field, ofLength(base64), 'must be at most 64 KiB; put a larger bundle into a Secret and name it in caSecretRef'));
  const pem = Buffer.from(base64, 'base64').toString('latin1');
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem + base64)) return report(forbidden(field, 'holds a private key, which is now known to all who can read this object: replace it, and write certificates only'));
  if (base64.includes('-----BEGIN ')) return report(invalid(field, ofLength(base64), 'is PEM as it is; write it in base64, as `base64 -w0 ca.crt` does'));
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) return report(invalid(field, ofLength(base64), 'holds no PEM certificate; write the base64 of one, as of `base64 -w0 ca.crt`'));
  const unreadable = certificates.findIndex((certificate) => !isCertificate(certificate));
  if (unreadable >= 0) report(invalid(field, ofLength(base64), `certificate ${unreadable + 1} of ${certificates.length} cannot be read; write the base64 of the whole file, as of \`base64 -w0 ca.crt\``));
}

/** Nobody reads base64. */
function ofLength(base64: string): string {
  return `(${base64.length} characters)`;
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

function verification({ spec }: Input, report: Report): void {
  if (spec.tls?.insecureSkipVerify === true) report(warning('spec.tls.insecureSkipVerify', 'the certificate of the sink is not verified: anyone on the way can read and change what is exported'));
}
