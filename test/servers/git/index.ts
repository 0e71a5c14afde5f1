import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { createAuthority, issueCertificate, type IssuedCertificate } from '../../../certs/x509.ts';
import { freePort } from '../free-port.ts';
import { openKeeper, plainEnvironment, type Keeper, type KeptProcess } from '../keeper.ts';
import { launch } from '../launch.ts';
import type { Report } from '../progress.ts';
import { accepts } from '../ready.ts';
import { runCommand } from '../run-command.ts';
import { httpBackend } from './http-backend.ts';
import { obtainSshd, type SshdPrograms } from './sshd.ts';

export interface GitOptions {
  /** Of the user `kollect` over HTTP. */
  password?: string;
  report?: Report | undefined;
}

export interface RepositoryOptions {
  /** Whether it leaves out blobs for those who ask for that. */
  filters?: boolean;
  /** Of the address; a name that no other has when unset. */
  path?: string;
}

/** An empty repository without a work tree, and what happens to those who push to it. */
export interface GitRepository {
  name: string;
  folder: string;
  httpUrl: string;
  httpsUrl: string;
  sshUrl: string;
  /** Runs git in it and gives what it says. */
  git(...args: string[]): Promise<string>;
  /** As `git`, with something to read. */
  feed(stdin: string, ...args: string[]): Promise<string>;
  /** Pushes that arrived so far. */
  pushes(): number;
  /** What a push is refused with from now on; nothing for `undefined`. */
  decline(message: string | undefined): void;
  /** The `later`th push after the next is taken, and its answer lost: cut off, or never sent. */
  loseAnswer(kind: 'cut' | 'silence', later?: number): void;
  heal(): void;
  /** While the next push is being taken, somebody else moves main to a commit of the repository. */
  overtake(commit: string): void;
  /** From now on pushes wait. `waits` once one does; after `release` those that waited are refused. */
  hold(): { waits(): boolean; release(): void };
}

export interface Git {
  user: string;
  password: string;
  /** PEM of the authority that HTTPS shows. */
  caPem: string;
  /** Private key that SSH admits, and one that it does not. */
  sshKey: string;
  otherSshKey: string;
  /** Lines for `known_hosts`: the true one, and one with another key. */
  knownHosts: string;
  wrongKnownHosts: string;
  ports: { http: number; https: number; ssh: number };
  folder: string;
  keeper: Keeper;
  sshd: KeptProcess;
  /** Sees each request of HTTP first; true: it has answered. */
  intercept(handler: ((request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>) | undefined): void;
  /** What HTTPS shows of itself from now on. */
  show(pair: IssuedCertificate): void;
  createRepository(options?: RepositoryOptions): Promise<GitRepository>;
  stop(): Promise<void>;
}

/** `nobody` everywhere on Linux. sshd that does not run as root needs no user and no folder of its own. */
const unprivileged = { uid: 65_534, gid: 65_534 };
const user = 'kollect';

/**
 * Starts servers of git over HTTP, HTTPS and SSH on 127.0.0.1, with repositories in a temporary folder; fetches sshd first when it is missing.
 *
 * @example
 * const git = await startGit();
 * t.teardown(() => git.stop());
 * const repository = await git.createRepository();
 * await repository.git('log', '--oneline', 'main');
 */
export async function startGit(options: GitOptions = {}): Promise<Git> {
  const obtained = await obtainSshd({ report: options.report });
  const keeper = await openKeeper();
  const servers: Server[] = [];
  const stop = async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await keeper.stop();
  };
  try {
    const { folder } = keeper;
    const owner = process.getuid?.() === 0 ? unprivileged : undefined;
    const root = join(folder, 'repositories');
    mkdirSync(root);
    chmodSync(folder, 0o711);
    own(root, owner);
    const programs = copied(obtained, folder);
    const password = options.password ?? randomUUID();
    let intercept: Parameters<Git['intercept']>[0];
    const backend = httpBackend({ root, user, password, owner, intercept: (...given) => intercept?.(...given) ?? false });
    const authority = createAuthority('git test');
    const { certificate, key } = issueCertificate(authority, { hosts: ['127.0.0.1', 'git.example.com'] });
    const tlsServer = createTlsServer({ cert: certificate, key }, backend);
    servers.push(createServer(backend), tlsServer);
    for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening');
    const [http, https] = servers.map((server) => (server.address() as AddressInfo).port) as [number, number];

    const keys = ['host', 'client', 'other'].map((name) => sshKey(folder, name)) as [SshKey, SshKey, SshKey];
    for (const { file } of keys.slice(0, 1)) own(file, owner);
    const environment = { ...plainEnvironment(), LD_LIBRARY_PATH: programs.libraries, LD_PRELOAD: programs.nssWrapper, ...fakeUsers(folder, owner) };
    const ssh = await launch({
      keeper,
      prepare: async () => {
        const port = await freePort();
        const args = ['-D', '-e', '-f', sshdConfig(folder, port, keys[0].file, keys[1].file)];
        return { start: { name: 'sshd', command: programs.sshd, args, ...owner, env: environment }, check: () => accepts(port), value: port };
      },
    });

    const ports = { http, https, ssh: ssh.value };
    const knownHost = (key: SshKey) => `[127.0.0.1]:${ports.ssh} ${key.public.split(' ').slice(0, 2).join(' ')}\n`;
    return {
      user,
      password,
      caPem: authority.certificate,
      sshKey: keys[1].private,
      otherSshKey: keys[2].private,
      knownHosts: knownHost(keys[0]),
      wrongKnownHosts: knownHost(keys[2]),
      ports,
      folder,
      keeper,
      sshd: ssh.process,
      intercept: (handler) => {
        intercept = handler;
      },
      show: (pair) => tlsServer.setSecureContext({ cert: pair.certificate, key: pair.key }),
      createRepository: (repository = {}) => createRepository(root, owner, ports, repository),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function createRepository(root: string, owner: typeof unprivileged | undefined, ports: Git['ports'], { filters = false, path: name = `r${randomUUID().slice(0, 8)}.git` }: RepositoryOptions): Promise<GitRepository> {
  const folder = join(root, name);
  const feed: GitRepository['feed'] = async (stdin, ...args) => {
    const { code, stdout, stderr } = await runCommand('git', args, { stdin, cwd: existsSync(folder) ? folder : root, ...owner, env: { ...plainEnvironment(), LC_ALL: 'C', GIT_CONFIG_GLOBAL: '/dev/null', HOME: root } });
    if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout;
  };
  const git: GitRepository['git'] = (...args) => feed('', ...args);
  await git('init', '--quiet', '--bare', '--initial-branch=main', folder);
  const settings = { 'http.receivepack': 'true', 'receive.advertisePushOptions': 'true', 'uploadpack.allowFilter': String(filters), 'gc.auto': '0' };
  for (const [key, value] of Object.entries(settings)) await git('config', key, value);
  const file = (path: string) => join(folder, path);
  for (const [hook, script] of Object.entries(hooks)) writeFileSync(file(`hooks/${hook}`), script, { mode: 0o755 });
  return {
    name,
    folder,
    httpUrl: `http://127.0.0.1:${ports.http}/${name}`,
    httpsUrl: `https://127.0.0.1:${ports.https}/${name}`,
    sshUrl: `ssh://git@127.0.0.1:${ports.ssh}${folder}`,
    git,
    feed,
    pushes: () => (existsSync(file('pushes')) ? readFileSync(file('pushes'), 'utf8').split('\n').length - 1 : 0),
    decline: (message) => (message === undefined ? rmSync(file('declined')) : writeFileSync(file('declined'), message)),
    loseAnswer: (kind, later = 0) => {
      writeFileSync(file('fault'), `${kind} ${later}\n`, { mode: 0o666 });
      own(file('fault'), owner);
    },
    heal: () => rmSync(file('fault'), { force: true }),
    overtake: (commit) => writeFileSync(file('rival'), commit),
    hold: () => {
      writeFileSync(file('held'), '');
      return { waits: () => existsSync(file('waiting')), release: () => rmSync(file('held')) };
    },
  };
}

/** They look at files beside them, and end with the folder. */
const hooks = {
  'pre-receive': `#!/bin/sh
waited=
while [ -e held ]; do : > waiting; waited=yes; sleep 0.05; done
rm -f waiting
[ -z "$waited" ] || exit 1
[ ! -e declined ] || { cat declined; exit 1; }
[ ! -e rival ] || { read -r commit < rival; rm rival; env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main "$commit"; }
`,
  'post-receive': `#!/bin/sh
printf '%s\\n' "$GIT_PUSH_OPTION_0" "$GIT_PUSH_OPTION_1" > push-options
kind=
if [ -e fault ]; then
  read kind later < fault
  if [ "$later" -gt 0 ]; then echo "$kind $((later - 1))" > fault; kind=; else rm fault; fi
fi
echo >> pushes
[ -n "$kind" ] || exit 0
if [ "$kind" = cut ]; then kill -9 "$PPID"; exit; fi
while [ -e HEAD ] && kill -0 "$PPID"; do sleep 0.05; done
`,
};

interface SshKey {
  file: string;
  private: string;
  public: string;
}

function sshKey(folder: string, name: string): SshKey {
  const file = join(folder, `${name}.key`);
  const { status, stderr } = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ssh-keygen: ${stderr ?? 'is not installed'}`);
  return { file, private: readFileSync(file, 'utf8'), public: readFileSync(`${file}.pub`, 'utf8') };
}

/** Where everybody can run them: the cache may lie in a home that is closed. */
function copied(programs: SshdPrograms, folder: string): SshdPrograms {
  const copy = join(folder, 'programs');
  cpSync(programs.libraries, copy, { recursive: true, verbatimSymlinks: true });
  cpSync(programs.sshd, join(copy, 'sshd'));
  return { sshd: join(copy, 'sshd'), libraries: copy, nssWrapper: join(copy, basename(programs.nssWrapper)) };
}

/** The user `git`, who is whoever runs sshd. */
function fakeUsers(folder: string, owner: typeof unprivileged | undefined): NodeJS.ProcessEnv {
  const { uid, gid } = owner ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const [users, groups] = [join(folder, 'passwd'), join(folder, 'group')];
  writeFileSync(users, `git:x:${uid}:${gid}::${folder}:/bin/sh\n`);
  writeFileSync(groups, `git:x:${gid}:\n`);
  return { NSS_WRAPPER_PASSWD: users, NSS_WRAPPER_GROUP: groups };
}

function sshdConfig(folder: string, port: number, hostKey: string, clientKey: string): string {
  const file = join(folder, 'sshd_config');
  const settings = {
    Port: port,
    ListenAddress: '127.0.0.1',
    HostKey: hostKey,
    AuthorizedKeysFile: `${clientKey}.pub`,
    AllowUsers: 'git',
    PasswordAuthentication: 'no',
    KbdInteractiveAuthentication: 'no',
    UsePAM: 'no',
    StrictModes: 'no',
    // As most servers do: the newer protocol gives single files.
    AcceptEnv: 'GIT_PROTOCOL',
    PidFile: 'none',
    MaxStartups: 100,
  };
  writeFileSync(file, Object.entries(settings).map(([name, value]) => `${name} ${value}\n`).join(''));
  return file;
}

function own(path: string, owner: typeof unprivileged | undefined): void {
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
}
