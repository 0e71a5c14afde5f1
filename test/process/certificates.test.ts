import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';

t.test('an issued certificate is good for its hosts, and only under its authority', async (t) => {
  const authority = createAuthority('one');
  const { certificate, key } = issueCertificate(authority, { hosts: ['localhost', 'kollect.example', '127.0.0.1', '::1', '2001:db8::ff:1'], days: 2 });
  const issued = new X509Certificate(certificate);
  const issuer = new X509Certificate(authority.certificate);
  for (const host of ['localhost', 'kollect.example']) t.equal(issued.checkHost(host), host);
  for (const ip of ['127.0.0.1', '::1', '2001:db8::ff:1']) t.ok(issued.checkIP(ip), ip);
  t.equal(issued.checkHost('other.example'), undefined);
  t.equal(issued.checkIP('127.0.0.2'), undefined);
  t.ok(issued.verify(issuer.publicKey) && issued.checkIssued(issuer));
  t.notOk(issued.verify(new X509Certificate(createAuthority('one').certificate).publicKey));
  t.ok(issued.checkPrivateKey(createPrivateKey(key)));
  t.ok(issuer.ca && !issued.ca);
  const now = Date.now();
  t.ok(Date.parse(issued.validFrom) < now && Date.parse(issued.validTo) > now + 86_400_000 && Date.parse(issued.validTo) <= now + 2 * 86_400_000);
  t.not(issued.serialNumber, new X509Certificate(issueCertificate(authority, { hosts: ['localhost'] }).certificate).serialNumber);
});

t.test('a certificate beyond the year 2049 is read like any other', async (t) => {
  t.match(new X509Certificate(createAuthority('long', 40 * 365).certificate).validTo, /20(6|7)\d GMT$/);
});

t.test('the script writes a directory that the webhook can serve', async (t) => {
  const directory = t.testdir();
  const script = join(import.meta.dirname, '../../certs/development.ts');
  execFileSync(process.execPath, [script, '--out', directory, '--host', 'webhook.example', '--days=5']);
  t.ok(new X509Certificate(readFileSync(join(directory, 'tls.crt'))).verify(new X509Certificate(readFileSync(join(directory, 'ca.crt'))).publicKey));
  t.equal(new X509Certificate(readFileSync(join(directory, 'tls.crt'))).checkHost('webhook.example'), 'webhook.example');
  t.equal(statSync(join(directory, 'tls.key')).mode & 0o777, 0o600);
  t.match(spawnSync(process.execPath, [script, '--hots=x'], { encoding: 'utf8' }), { status: 2, stderr: /did you mean --host\?/ });
});

t.test('in a cluster the trust root outlives the serving certificate', async (t) => {
  const read = (file: string) => parseAllDocuments(readFileSync(join(import.meta.dirname, '../../certs', file), 'utf8')).map((document) => document.toJS() as { kind: string; metadata: { name: string }; spec: Record<string, unknown> });
  const [root, authority, issuer] = read('issuers.yaml');
  const [serving] = read('certificate.yaml');
  t.same(root?.spec, { selfSigned: {} });
  t.match(authority?.spec, { isCA: true, issuerRef: { name: root?.metadata.name }, privateKey: { rotationPolicy: 'Never' } });
  t.same(issuer?.spec, { ca: { secretName: authority?.spec.secretName } });
  t.match(serving?.spec, { secretName: 'webhook-server-cert', issuerRef: { name: issuer?.metadata.name }, dnsNames: ['kollect-webhook-service.kollect-system.svc', 'kollect-webhook-service.kollect-system.svc.cluster.local'], usages: ['digital signature', 'server auth'] });
});
