import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';

/** How to reach one API server as one user. */
export interface KubeConnection {
  server: string;
  /** PEM of the trusted authorities; the system's when unset. */
  ca: string | undefined;
  insecureSkipTlsVerify: boolean;
  clientCertificate: { cert: string; key: string } | undefined;
  /** Reads the current token; called again as tokens expire. */
  token: (() => Promise<string | undefined>) | undefined;
  /** Namespace of the process or of the kubeconfig's context. */
  namespace: string;
}

/**
 * Finds the API server: the named kubeconfig, else the service account of the pod, else `$KUBECONFIG` or `~/.kube/config`. Throws an
 * `Error` that names the file and what it lacks.
 */
export async function loadConnection({ kubeconfig }: { kubeconfig?: string | undefined } = {}): Promise<KubeConnection> {
  if (!kubeconfig && process.env['KUBERNETES_SERVICE_HOST']) return inCluster();
  return fromKubeconfig(kubeconfig || process.env['KUBECONFIG']?.split(':')[0] || join(homedir(), '.kube', 'config'));
}

async function inCluster(): Promise<KubeConnection> {
  const host = process.env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = process.env['KUBERNETES_SERVICE_PORT'] ?? '443';
  const [ca, namespace] = await Promise.all([
    readFile(join(serviceAccount, 'ca.crt'), 'utf8'),
    readFile(join(serviceAccount, 'namespace'), 'utf8').catch(() => 'default'),
  ]);
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca,
    insecureSkipTlsVerify: false,
    clientCertificate: undefined,
    token: async () => (await readFile(join(serviceAccount, 'token'), 'utf8')).trim(),
    namespace: namespace.trim(),
  };
}


async function fromKubeconfig(file: string): Promise<KubeConnection> {
  const config = parse(await readFile(file, 'utf8')) as Record<string, unknown> | null;
  const find = (list: string, key: string, name: unknown): Record<string, unknown> => {
    const entries = (config?.[list] ?? []) as Record<string, unknown>[];
    const entry = entries.find((candidate) => candidate['name'] === name);
    if (!entry) throw new Error(`${file}: no entry "${String(name)}" in ${list}`);
    return (entry[key] ?? {}) as Record<string, unknown>;
  };
  const context = find('contexts', 'context', config?.['current-context']);
  const cluster = find('clusters', 'cluster', context['cluster']);
  const user = find('users', 'user', context['user']);
  const text = async (holder: Record<string, unknown>, key: string): Promise<string | undefined> => {
    const data = holder[`${key}-data`];
    if (typeof data === 'string') return Buffer.from(data, 'base64').toString('utf8');
    const path = holder[key];
    return typeof path === 'string' ? readFile(resolve(dirname(file), path), 'utf8') : undefined;
  };
  const cert = await text(user, 'client-certificate');
  const key = await text(user, 'client-key');
  return {
    server: String(cluster['server'] ?? '').replace(/\/$/, ''),
    ca: await text(cluster, 'certificate-authority'),
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true,
    clientCertificate: cert !== undefined && key !== undefined ? { cert, key } : undefined,
    token: tokenSource(file, user),
    namespace: typeof context['namespace'] === 'string' ? context['namespace'] : 'default',
  };
}

function tokenSource(file: string, user: Record<string, unknown>): KubeConnection['token'] {
  const { token, tokenFile } = user;
  if (typeof tokenFile === 'string') {
    const path = resolve(dirname(file), tokenFile);
    return async () => (await readFile(path, 'utf8')).trim();
  }
  if (typeof token === 'string') return async () => token;
  if (user['exec'] || user['auth-provider']) return () => pluginToken(file);
  return undefined;
}

/** Credential plugins are what client-node knows best; it is loaded for them only, because it costs 60 MB. */
async function pluginToken(file: string): Promise<string | undefined> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromFile(file);
  const options: { headers: Record<string, string> } = { headers: {} };
  await config.applyToHTTPSOptions(options as Parameters<typeof config.applyToHTTPSOptions>[0]);
  return /^Bearer (.+)$/.exec(options.headers['Authorization'] ?? '')?.[1];
}
