import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { bitString, boolean, integer, objectIdentifier, octetString, sequence, set, tagged, time, utf8String } from './der.ts';

/** A certificate authority that lives in memory. `certificate` is PEM: what clients trust. */
export interface Authority {
  name: string;
  certificate: string;
  key: KeyObject;
}

/** PEM of a serving certificate and its private key. */
export interface IssuedCertificate {
  certificate: string;
  key: string;
}

/** A self-signed authority for development and tests, valid from an hour ago for `days`. */
export function createAuthority(name: string, days = 365): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyIdentifier = identifierOf(publicKey);
  const certificate = build({
    issuer: name,
    subject: name,
    days,
    publicKey,
    signer: privateKey,
    extensions: [
      extension(oid.basicConstraints, true, sequence(boolean(true))),
      // keyCertSign and cRLSign.
      extension(oid.keyUsage, true, bitString(Buffer.of(0b0000_0110), 1)),
      extension(oid.subjectKeyIdentifier, false, octetString(keyIdentifier)),
    ],
  });
  return { name, certificate, key: privateKey };
}

/**
 * A serving certificate for the hosts, which may be DNS names and IP addresses, or one that its holder shows as a client.
 *
 * @example issueCertificate(createAuthority('development'), { hosts: ['localhost', '127.0.0.1'] })
 */
export function issueCertificate(authority: Authority, options: { hosts: readonly string[]; days?: number; usage?: 'server' | 'client' }): IssuedCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = build({
    issuer: authority.name,
    subject: options.hosts[0] ?? 'localhost',
    days: options.days ?? 365,
    publicKey,
    signer: authority.key,
    extensions: [
      extension(oid.basicConstraints, true, sequence()),
      // digitalSignature.
      extension(oid.keyUsage, true, bitString(Buffer.of(0b1000_0000), 7)),
      extension(oid.extendedKeyUsage, false, sequence(objectIdentifier(options.usage === 'client' ? oid.clientAuth : oid.serverAuth))),
      extension(oid.subjectAlternativeName, false, sequence(...options.hosts.map(alternativeName))),
      extension(oid.subjectKeyIdentifier, false, octetString(identifierOf(publicKey))),
      extension(oid.authorityKeyIdentifier, false, sequence(tagged(0, identifierOf(createPublicKey(authority.key)), { constructed: false }))),
    ],
  });
  return { certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const oid = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

interface CertificateParts {
  issuer: string;
  subject: string;
  days: number;
  publicKey: KeyObject;
  signer: KeyObject;
  extensions: Buffer[];
}

/** Clocks of two machines may differ; a certificate of this minute must be good on both. */
const backdatedMs = 3_600_000;

function build(parts: CertificateParts): string {
  const now = Date.now();
  const algorithm = sequence(objectIdentifier(oid.ecdsaWithSha256));
  const body = sequence(
    tagged(0, integer(Buffer.of(2)), { constructed: true }),
    integer(randomBytes(16)),
    algorithm,
    distinguishedName(parts.issuer),
    sequence(time(new Date(now - backdatedMs)), time(new Date(now + parts.days * 86_400_000))),
    distinguishedName(parts.subject),
    parts.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(...parts.extensions), { constructed: true }),
  );
  const der = sequence(body, algorithm, bitString(sign('sha256', body, parts.signer)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier(oid.commonName), utf8String(commonName))));
}

function extension(identifier: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(identifier), ...(critical ? [boolean(true)] : []), octetString(value));
}

function identifierOf(publicKey: KeyObject): Buffer {
  return createHash('sha1').update(publicKey.export({ type: 'spki', format: 'der' })).digest();
}

function alternativeName(host: string): Buffer {
  return isIP(host) === 0 ? tagged(2, Buffer.from(host, 'ascii'), { constructed: false }) : tagged(7, addressBytes(host), { constructed: false });
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
