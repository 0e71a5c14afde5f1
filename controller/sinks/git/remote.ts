import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { KollectError } from '../../../shared/errors.ts';
import type { CheckedAddress, Dialer } from '../contract.ts';
import { handshakeFault } from './handshake.ts';
import type { GitRun } from './process.ts';
import type { GitSinkSettings } from './settings.ts';

/** What git must be told to reach a repository, all of it but the address outside of its arguments. */
export interface RemoteAccess extends Required<Pick<GitRun, 'settings' | 'environment'>> {
  url: string;
  /** See `handshakeFault`; absent for SSH. */
  fault?: (signal: AbortSignal) => Promise<KollectError | undefined>;
}

/** Bytes a second, below which for so many seconds a connection counts as dead. */
const [deadBytes, deadSeconds] = ['100', '60'];
const connectSeconds = 15;

/** The way to the repository of a sink. Git connects to addresses that were checked right before, and to no other. */
export class Remote {
  readonly #settings: GitSinkSettings;
  readonly #dialer: Dialer;
  readonly #parent: string;
  #files: Promise<string> | undefined;

  /** @param parent a private folder, for what git reads from files only: keys, authorities */
  constructor(settings: GitSinkSettings, dialer: Dialer, parent: string) {
    this.#settings = settings;
    this.#dialer = dialer;
    this.#parent = parent;
  }

  /** Resolves and checks the host anew. Each of the accesses is one address to try. Throws as `Dialer.resolve` does. */
  async accesses(): Promise<readonly RemoteAccess[]> {
    const { endpoint, port, login } = this.#settings;
    const address = await this.#dialer.resolve(endpoint.host, port);
    const folder = await (this.#files ??= this.#writeFiles());
    if (login.kind === 'http') return [this.#overHttp(address, folder)];
    return [address.host, ...address.others].map((host) => this.#overSsh({ ...address, host }, folder));
  }

  async close(): Promise<void> {
    const folder = await this.#files?.catch(() => undefined);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }

  #overHttp(address: CheckedAddress, folder: string): RemoteAccess {
    const { host, port, servername, others } = address;
    const { endpoint, login, tls } = this.#settings;
    const { path, query } = endpoint;
    const name = isIP(servername) === 0 ? servername : bracketed(host);
    const settings: [string, string][] = [
      ['http.followRedirects', 'false'],
      ['http.proxy', ''],
      ['http.sslVerify', String(tls.verifies)],
      ['http.sslVersion', 'tlsv1.2'],
      ['http.lowSpeedLimit', deadBytes],
      ['http.lowSpeedTime', deadSeconds],
      // What curl dials, whatever the name resolves to by then.
      ['http.curloptResolve', `${name}:${port}:${[host, ...others].map(bracketed).join(',')}`],
    ];
    if (login.kind === 'http' && login.authorization !== undefined) settings.push(['http.extraHeader', `Authorization: ${login.authorization}`]);
    if (tls.ca !== undefined) settings.push(['http.sslCAInfo', join(folder, 'ca')]);
    if (tls.client) settings.push(['http.sslCert', join(folder, 'client-certificate')], ['http.sslKey', join(folder, 'client-key')]);
    const url = `${endpoint.scheme}://${name}:${port}${path}${query === '' ? '' : `?${query}`}`;
    return { url, settings, environment: {}, fault: (signal) => handshakeFault(address, this.#settings, signal) };
  }

  #overSsh({ host, port }: CheckedAddress, folder: string): RemoteAccess {
    const { endpoint, port: namedPort, login } = this.#settings;
    const name = endpoint.host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
    const known = login.kind === 'ssh' && login.knownHosts !== undefined;
    const options = {
      HostName: host,
      Port: port,
      // As known_hosts writes it.
      HostKeyAlias: namedPort === 22 ? name : `[${name}]:${namedPort}`,
      StrictHostKeyChecking: known ? 'yes' : 'no',
      UserKnownHostsFile: known ? join(folder, 'known-hosts') : '/dev/null',
      GlobalKnownHostsFile: '/dev/null',
      IdentityFile: join(folder, 'key'),
      IdentitiesOnly: 'yes',
      IdentityAgent: 'none',
      BatchMode: 'yes',
      PreferredAuthentications: 'publickey',
      CheckHostIP: 'no',
      UpdateHostKeys: 'no',
      ProxyCommand: 'none',
      PermitLocalCommand: 'no',
      ClearAllForwardings: 'yes',
      ConnectTimeout: connectSeconds,
      ServerAliveInterval: 15,
      ServerAliveCountMax: 4,
      LogLevel: 'ERROR',
    };
    const command = ['ssh', '-F', 'none', ...Object.entries(options).flatMap(([option, value]) => ['-o', `${option}=${value}`])].map(shellQuoted).join(' ');
    const user = login.kind === 'ssh' ? login.user : 'git';
    const path = endpoint.path.startsWith('/') ? endpoint.path : `/${endpoint.path}`;
    // The short form's path begins in the home of the user.
    const url = endpoint.path.startsWith('/') ? `ssh://${user}@${bracketed(name)}${path}` : `${user}@${bracketed(name)}:${endpoint.path}`;
    return { url, settings: [], environment: { GIT_SSH_COMMAND: command, GIT_SSH_VARIANT: 'ssh' } };
  }

  async #writeFiles(): Promise<string> {
    const { login, tls } = this.#settings;
    await mkdir(this.#parent, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(this.#parent, 'access-'));
    const files: Record<string, string | undefined> = {
      ca: tls.ca,
      'client-certificate': tls.client?.cert,
      'client-key': tls.client?.key,
      ...(login.kind === 'ssh' && { key: login.key, 'known-hosts': login.knownHosts }),
    };
    // ssh reads no key without a line break at its end.
    for (const [name, text] of Object.entries(files)) if (text !== undefined) await writeFile(join(folder, name), `${text.replaceAll('\r\n', '\n').trimEnd()}\n`, { mode: 0o600 });
    return folder;
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
