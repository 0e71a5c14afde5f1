import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { launch } from '../launch.ts';
import type { Launched } from '../launch.ts';
import { obtain } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { answersOk } from '../ready.ts';
import { kubeApiserverBinary } from './binaries.ts';

/** Someone who may log in, with a static token. What he may do is up to RBAC. */
export interface ClusterUser {
  /** Such as `jane`, or `system:serviceaccount:kollect-system:kollect-webhook`. */
  name: string;
  /** Such as `system:serviceaccounts`; `system:authenticated` comes by itself. */
  groups?: readonly string[];
}

export interface KubeApiserverOptions {
  etcdUrl: string;
  users?: readonly ClusterUser[] | undefined;
  /** Further flags, such as `--max-requests-inflight=2000`. */
  flags?: readonly string[] | undefined;
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

export interface KubeApiserverAccess {
  url: string;
  port: number;
  /** Its self-signed certificate. */
  caFile: string;
  /** Of a member of `system:masters`. */
  adminToken: string;
  /** By the user's name. */
  tokens: Readonly<Record<string, string>>;
  /** Everything but the program's name: the same again restarts it. */
  args: readonly string[];
  command: string;
}

/** Starts kube-apiserver over an etcd that runs already or is just starting. Stop it before that etcd. */
export async function start(options: KubeApiserverOptions): Promise<Launched<KubeApiserverAccess>> {
  const { 'kube-apiserver': command } = await obtain([kubeApiserverBinary], { report: options.report });
  return launch({
    keeper: options.keeper,
    prepare: async ({ folder: root }) => {
      const port = await freePort();
      const url = `https://127.0.0.1:${port}`;
      const folder = join(root, `kube-apiserver-${port}`);
      mkdirSync(folder);

      const adminToken = newToken();
      const tokens = Object.fromEntries((options.users ?? []).map(({ name }) => [name, newToken()]));
      const tokenFile = join(folder, 'tokens.csv');
      const lines = (options.users ?? []).map(({ name, groups = [] }) => `${tokens[name]},"${name}","${name}","${groups.join(',')}"\n`);
      writeFileSync(tokenFile, `${adminToken},admin,admin,"system:masters"\n${lines.join('')}`, { mode: 0o600 });

      const keyFile = join(folder, 'service-account.key');
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      writeFileSync(keyFile, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });

      const caFile = join(folder, 'apiserver.crt');
      const args = [
        `--etcd-servers=${options.etcdUrl}`,
        '--bind-address=127.0.0.1',
        '--advertise-address=127.0.0.1',
        `--secure-port=${port}`,
        `--cert-dir=${folder}`,
        `--service-account-issuer=${url}/`,
        `--service-account-key-file=${keyFile}`,
        `--service-account-signing-key-file=${keyFile}`,
        '--service-cluster-ip-range=10.0.0.0/24',
        '--authorization-mode=RBAC',
        `--token-auth-file=${tokenFile}`,
        // No controller makes the tokens and accounts that it would wait for.
        '--disable-admission-plugins=ServiceAccount',
        // It would publish its own address, which is refused for a loopback one.
        '--endpoint-reconciler-type=none',
        ...(options.flags ?? []),
      ];
      const headers = { authorization: `Bearer ${adminToken}` };
      const value = { url, port, caFile, adminToken, tokens, args, command };
      return { start: { name: 'kube-apiserver', command, args }, check: () => answersOk(`${url}/readyz`, { headers }), value };
    },
  });
}

function newToken(): string {
  return randomBytes(24).toString('hex');
}
