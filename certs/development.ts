import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseFlags } from '../shared/flags.ts';
import { createAuthority, issueCertificate } from './x509.ts';

/**
 * Writes `ca.crt`, `tls.crt` and `tls.key` for a webhook outside a cluster. Inside one, cert-manager issues them: see certificate.yaml.
 *
 * @example node certs/development.ts --out /tmp/certs --host localhost --host 127.0.0.1
 */
function main(): void {
  const flags = parseFlags(
    {
      out: { type: 'string', default: 'certs/development', placeholder: 'dir', help: 'Directory to write to; created when missing.' },
      host: { type: 'list', placeholder: 'name|ip', help: 'Name or address that the certificate is for. localhost, 127.0.0.1 and ::1 when none is given.' },
      days: { type: 'integer', default: 30, min: 1, max: 3650, help: 'How long the certificate is valid.' },
    },
    process.argv.slice(2),
    { usage: 'node certs/development.ts [flags]' },
  );
  if (flags.help !== undefined) {
    process.stdout.write(flags.help);
    return;
  }
  const authority = createAuthority('Kollect development authority', flags.days);
  const hosts = flags.host.length > 0 ? flags.host : ['localhost', '127.0.0.1', '::1'];
  const issued = issueCertificate(authority, { hosts, days: flags.days });
  mkdirSync(flags.out, { recursive: true, mode: 0o700 });
  writeFileSync(join(flags.out, 'ca.crt'), authority.certificate);
  writeFileSync(join(flags.out, 'tls.crt'), issued.certificate);
  writeFileSync(join(flags.out, 'tls.key'), issued.key, { mode: 0o600 });
  // The mode above counts only for a new file.
  chmodSync(join(flags.out, 'tls.key'), 0o600);
  process.stdout.write(`${flags.out}: ca.crt, tls.crt and tls.key for ${hosts.join(', ')}, valid ${flags.days} days\n`);
}

try {
  main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
