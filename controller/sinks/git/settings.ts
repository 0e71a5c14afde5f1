import { createHash } from 'node:crypto';
import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import type { gitOptions } from '../../../shared/api/sinks/git.ts';
import { parseGitEndpoint, type GitEndpoint } from '../../../shared/api/sinks/git-endpoint.ts';
import { branchProblem } from '../../../shared/admission/rules/git-branch.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';

/** How to log in: by a header of HTTP, or with a key over SSH. */
export type Login =
  | { kind: 'http'; authorization: string | undefined }
  /** `knownHosts` is undefined where nobody is to be verified. */
  | { kind: 'ssh'; user: string; key: string; knownHosts: string | undefined };

export interface GitSinkSettings {
  endpoint: GitEndpoint;
  port: number;
  /** The endpoint without users and branches, for messages and fingerprints. */
  title: string;
  branch: string;
  /** Pushes go through whatever the branch holds by then. */
  forces: boolean;
  /** The branch must be there. */
  mustExist: boolean;
  depth: number;
  pushOptions: readonly string[];
  author: { name: string; email: string };
  login: Login;
  tls: { ca: string | undefined; verifies: boolean; client: { cert: string; key: string } | undefined };
}

export const sshKeyNames = ['ssh-privatekey', 'identity', 'id_rsa'] as const;
const defaultPorts = { http: 80, https: 443, ssh: 22 } as const;

/** Reads spec, Secret and CA. Throws `KOL_SINK_CONFIG` and `KOL_SINK_SECRET_KEY`. */
export function readSettings(context: OpenContext<KollectSnapshotSinkSpec>): GitSinkSettings {
  const { spec, ca, clientCertificate } = context;
  const endpoint = readEndpoint(spec.endpoint);
  const { scheme, host, path, query } = endpoint;
  const port = endpoint.port ?? defaultPorts[scheme];
  const verifies = spec.tls?.insecureSkipVerify !== true;
  const branch = spec.git?.branch?.trim() || endpoint.branch?.trim() || 'main';
  const problem = branchProblem(branch);
  if (problem !== undefined) throw new KollectError('KOL_SINK_CONFIG', `the branch ${JSON.stringify(branch)} ${problem}`);
  const shownPort = port === defaultPorts[scheme] ? '' : `:${port}`;
  return {
    endpoint,
    port,
    title: `${scheme}://${host.toLowerCase()}${shownPort}${path.startsWith('/') ? '' : '/'}${path}${query === '' ? '' : `?${query}`}`,
    branch,
    forces: spec.git?.pushPolicy === 'ForcePush',
    mustExist: spec.provisioning?.mode === 'existing',
    depth: spec.git?.cloneDepth ?? 1,
    pushOptions: (spec.options?.['pushOptions' satisfies (typeof gitOptions)[number]] ?? '').split(',').flatMap((option) => option.trim() || []),
    author: { name: spec.git?.author?.name?.trim() || 'kollect', email: spec.git?.author?.email?.trim() || 'kollect@kollect.dev' },
    login: scheme === 'ssh' ? sshLogin(context, endpoint, verifies) : httpLogin(context),
    tls: { ca, verifies, client: clientCertificate },
  };
}

/** Who writes with equal settings shares one mirror. A digest, since it covers credentials. */
export function settingsKey(settings: GitSinkSettings): string {
  return `git ${createHash('sha256').update(JSON.stringify(settings)).digest('hex')}`;
}

/** The Secret with the credentials; the git block's own wins. */
export function gitSecretRef(spec: KollectSnapshotSinkSpec): KollectSnapshotSinkSpec['secretRef'] {
  return spec.git?.auth?.secretRef ?? spec.secretRef;
}

function readEndpoint(text: string | undefined): GitEndpoint {
  if (text === undefined || text.trim() === '') throw new KollectError('KOL_SINK_CONFIG', 'spec.endpoint is empty: write the address of the repository');
  try {
    return parseGitEndpoint(text.trim());
  } catch (error) {
    throw new KollectError('KOL_SINK_CONFIG', `spec.endpoint ${error instanceof Error ? error.message : String(error)}`);
  }
}

function httpLogin({ secrets, spec }: OpenContext<KollectSnapshotSinkSpec>): Login {
  const token = secrets.first('token');
  const password = token ?? secrets.first('password');
  if (password === undefined) {
    if (gitSecretRef(spec) !== undefined) secrets.require('token', 'password');
    return { kind: 'http', authorization: undefined };
  }
  const user = secrets.first('username') ?? (token === undefined ? 'git' : 'x-access-token');
  return { kind: 'http', authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

function sshLogin({ secrets }: OpenContext<KollectSnapshotSinkSpec>, endpoint: GitEndpoint, verifies: boolean): Login {
  const user = endpoint.user ?? secrets.first('username') ?? 'git';
  if (!/^[\w.][\w.@+-]*$/.test(user)) throw new KollectError('KOL_SINK_CONFIG', 'the user for SSH has characters that no user has');
  return { kind: 'ssh', user, key: secrets.require(...sshKeyNames), knownHosts: verifies ? secrets.require('known_hosts') : undefined };
}
