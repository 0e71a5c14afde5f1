import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KollectSnapshotSinkSpec } from '../../shared/api/kollect-snapshot-sink.ts';
import type { Backend } from '../../controller/sinks/contract.ts';
import { git as backend } from '../../controller/sinks/git/backend.ts';
import { openSink, type OpenedSink, type OpenSinkOptions } from '../../controller/sinks/runtime/open-sink.ts';
import type { Git, GitRepository } from '../servers/git/index.ts';
import type { Files } from './files-conformance.ts';

export type Protocol = 'http' | 'https' | 'ssh';

export interface OpenGitOptions extends Partial<Pick<OpenSinkOptions, 'fence' | 'installation' | 'shared' | 'lookupAll' | 'policy'>> {
  spec?: Partial<KollectSnapshotSinkSpec> | undefined;
  secret?: Record<string, string>;
}

/** A KollectSnapshotSink of a repository, opened as the controller does. */
export async function openGit(git: Git, repository: GitRepository, protocol: Protocol, { spec, secret, policy = { allowPrivate: true, allowLoopback: true }, ...options }: OpenGitOptions = {}): Promise<OpenedSink> {
  const values = { ...(protocol === 'ssh' ? { 'ssh-privatekey': git.sshKey, known_hosts: git.knownHosts } : { username: git.user, password: git.password }), ...secret };
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const tls = protocol === 'https' ? { tls: { caBundle: Buffer.from(git.caPem).toString('base64') } } : {};
  const sink = { kind: 'KollectSnapshotSink', metadata: { name: 'git', namespace: 'team-a' }, spec: { type: 'git', endpoint: repository[`${protocol}Url`], secretRef: { name: 'git' }, ...tls, ...spec } };
  return await openSink({ sink, readSecret: async () => ({ metadata: { resourceVersion: '1' }, data }), policy, load: async () => backend as Backend, ...options });
}

/** All files of the branch main. */
export async function filesOf({ git, folder }: GitRepository): Promise<Files> {
  if ((await git('for-each-ref', 'refs/heads/main')) === '') return {};
  const archive = join(folder, 'main.tar');
  await git('archive', '--format=tar', '-o', archive, 'main');
  return tarFiles(readFileSync(archive));
}

/** Plain files of a tar: a head of 512 bytes with name, size and kind, then the content, filled up to 512 bytes. */
function tarFiles(tar: Buffer): Files {
  const files: Files = {};
  const text = (at: number, length: number): string => tar.toString('latin1', at, at + length).replace(/\0.*$/s, '');
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const [name, folder, kind] = [text(at, 100), text(at + 345, 155), text(at + 156, 1)];
    if (kind === '0') files[folder === '' ? name : `${folder}/${name}`] = tar.toString('latin1', at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** Somebody else commits a file, or removes it. */
export async function commitFile(repository: GitRepository, path: string, text: string | undefined): Promise<void> {
  const tip = (await repository.git('for-each-ref', '--format=%(objectname)', 'refs/heads/main')).trim();
  const script = `commit refs/heads/main\ncommitter someone <someone@example.com> ${Math.floor(Date.now() / 1_000)} +0000\ndata 7\nby hand\n${tip === '' ? '' : `from ${tip}\n`}${text === undefined ? `D ${path}` : `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}`}\n`;
  await repository.feed(script, 'fast-import', '--quiet');
}
