import { startGit, type Git, type GitRepository } from '../servers/git/index.ts';
import { canary } from './conformance.ts';
import { caBundle, type Address, type FailurePlace } from './connection-failures.ts';
import { commitFile } from './git-place.ts';

const existing = { provisioning: { mode: 'existing' } };

/** Git over HTTPS, and over SSH. */
export async function gitFailures(onEnd: (end: () => Promise<void> | void) => void): Promise<FailurePlace[]> {
  const git = await startGit({ password: canary });
  onEnd(() => git.stop());
  return [await overHttps(git), await overSsh(git)];
}

async function overHttps(git: Git): Promise<FailurePlace> {
  const repository = await git.createRepository();
  const endpoint = ({ host: at, port }: Address, name = repository.name): string => `https://${at}:${port}/${name}`;
  return {
    name: 'git over HTTPS',
    kind: 'KollectSnapshotSink',
    port: git.ports.https,
    spec: (at) => ({ type: 'git', endpoint: endpoint(at), secretRef: { name: 'git' }, tls: { caBundle } }),
    secret: () => ({ username: git.user, password: canary }),
    wrong: () => ({ username: git.user, password: `${canary}-wrong` }),
    show: (pair) => git.show(pair),
    faults: [
      missingBranch(repository),
      refusedOptions(repository),
      noRoom(repository),
      {
        what: 'a repository that does not exist',
        spec: (at) => ({ endpoint: endpoint(at, 'later.git') }),
        code: 'KOL_SINK_AUTH',
        says: /there is no such repository, or the user may not see it: correct spec\.endpoint, or grant access/,
        mend: () => git.createRepository({ path: 'later.git' }),
      },
      {
        what: 'a user who may not push',
        code: 'KOL_SINK_AUTH',
        says: /does not let the user do this: grant the right to push/,
        occur: () => repository.git('config', 'http.receivepack', 'false'),
        mend: () => repository.git('config', 'http.receivepack', 'true'),
      },
      {
        what: 'a web page',
        code: 'KOL_SINK_CONFIG',
        says: /is no server of git that can be pushed to: correct spec\.endpoint/,
        occur: () =>
          git.intercept((_request, response) => {
            response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hello</html>');
            return true;
          }),
        mend: () => git.intercept(undefined),
      },
      {
        what: 'a server that leads to a metadata address',
        code: 'KOL_SINK_CONFIG',
        says: /redirects to another address, which is not followed: write the final address into spec\.endpoint/,
        occur: () =>
          git.intercept((_request, response) => {
            response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
            return true;
          }),
        mend: () => git.intercept(undefined),
      },
    ],
    // A record of TLS with 16,000 bytes.
    beginning: '\x16\x03\x03\x3e\x80\x02',
  };
}

async function overSsh(git: Git): Promise<FailurePlace> {
  const repository = await git.createRepository();
  const endpoint = ({ host: at, port }: Address, folder = repository.folder): string => `ssh://git@${at}:${port}${folder}`;
  const hostKey = (line: string) => ({ host: at, port }: Address): string => line.replace(/^\S+/, `[${at}]:${port}`);
  const secret = (key: string, line = git.knownHosts) => (at: Address) => ({ 'ssh-privatekey': key, known_hosts: hostKey(line)(at) });
  return {
    name: 'git over SSH',
    kind: 'KollectSnapshotSink',
    port: git.ports.ssh,
    spec: (at) => ({ type: 'git', endpoint: endpoint(at), secretRef: { name: 'git' } }),
    secret: secret(git.sshKey),
    wrong: secret(git.otherSshKey),
    faults: [
      missingBranch(repository),
      refusedOptions(repository),
      { what: 'a host with another key', secret: secret(git.sshKey, git.wrongKnownHosts), code: 'KOL_SINK_CONFIG', says: /host key of the server is not among the known_hosts of the Secret: add the line/ },
      { what: 'a key that nobody can read', secret: secret('-----BEGIN OPENSSH PRIVATE KEY-----\nbroken\n-----END OPENSSH PRIVATE KEY-----'), code: 'KOL_SINK_AUTH', says: /private key of the Secret cannot be read: put one without a passphrase into it/ },
      {
        what: 'a repository that does not exist',
        spec: (at) => ({ endpoint: endpoint(at, `${repository.folder.replace(/[^/]*$/, '')}later-ssh.git`) }),
        code: 'KOL_SINK_AUTH',
        says: /there is no such repository, or the user may not see it: correct spec\.endpoint, or grant access/,
        mend: () => git.createRepository({ path: 'later-ssh.git' }),
      },
    ],
    beginning: 'SSH-2.0-',
    stranger: { code: 'KOL_SINK_UNAVAILABLE', says: /the connection to the server was lost: see whether host and port are right/ },
  };
}

function refusedOptions(repository: GitRepository): FailurePlace['faults'][number] {
  const advertise = (value: boolean) => () => repository.git('config', 'receive.advertisePushOptions', String(value));
  return {
    what: 'push options that the server does not take',
    spec: () => ({ options: { pushOptions: 'ci.skip' } }),
    code: 'KOL_SINK_CONFIG',
    says: /takes no push options: remove spec\.options\.pushOptions/,
    occur: advertise(false),
    mend: advertise(true),
  };
}

function noRoom(repository: GitRepository): FailurePlace['faults'][number] {
  return {
    what: 'a branch that there is no room for',
    spec: () => ({ git: { branch: 'kept/inventory' } }),
    code: 'KOL_SINK_CONFIG',
    says: /there is no room for the branch "kept\/inventory" beside "kept" .*: name another branch/,
    occur: () => repository.git('branch', 'kept', 'main'),
    mend: () => repository.git('branch', '-D', 'kept'),
  };
}

function missingBranch(repository: GitRepository): FailurePlace['faults'][number] {
  return {
    what: 'a branch that is to be there and is not',
    spec: () => existing,
    code: 'KOL_SINK_SCHEMA',
    says: /branch "main" of .* does not exist: create the branch, or set spec\.provisioning\.mode to ensure/,
    mend: () => commitFile(repository, 'README', 'hello'),
  };
}
