import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KollectError } from '../errors.ts';

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** How to reach one API server as one user. */
export interface KubeConnection {
  /** Such as `https://10.0.0.1:443`, without a slash at the end. */
  server: string;
  /** PEM of the trusted authorities; the system's when unset. */
  ca: string | undefined;
  /** Name that the certificate must carry, where it is not the host of `server`. */
  serverName?: string | undefined;
  insecureSkipTlsVerify: boolean;
  clientCertificate: { cert: string; key: string } | undefined;
  /** Reads the current token; called again as tokens expire, with true when the last one was refused. */
  token: ((refused?: boolean) => Promise<string | undefined>) | undefined;
  /** Namespace of the process or of the kubeconfig's context. */
  namespace: string;
}

export interface ConnectionOptions {
  /** Path of a kubeconfig. */
  kubeconfig?: string | undefined;
  /** Name of a context of the kubeconfig; the current one when unset. A pod has none. */
  context?: string | undefined;
  environment?: NodeJS.ProcessEnv;
  /** Where a pod finds its token, authority and namespace. */
  serviceAccount?: string;
}

/**
 * Finds the API server, in the order that controllers have: the kubeconfig that is named, the files of `$KUBECONFIG`, the service account of the pod,
 * `~/.kube/config`. Throws `KollectError` (`KOL_CONFIG_KUBECONFIG`) with the file and what it lacks.
 */
export async function loadConnection(options: ConnectionOptions = {}): Promise<KubeConnection> {
  const { kubeconfig, context, environment = process.env, serviceAccount = serviceAccountFolder } = options;
  if (kubeconfig) return fromFiles([kubeconfig], context);
  const files = (environment['KUBECONFIG'] ?? '').split(process.platform === 'win32' ? ';' : ':').filter((file) => file !== '');
  if (files.length > 0) return fromFiles(files, context);
  const host = environment['KUBERNETES_SERVICE_HOST'];
  if (host && context === undefined) return inCluster(host, environment['KUBERNETES_SERVICE_PORT'] ?? '443', serviceAccount);
  return fromFiles([join(homedir(), '.kube', 'config')], context);
}

/** Loaded when there is something to read: a pod has no kubeconfig, and can do without the YAML parser. */
async function fromFiles(files: readonly string[], context: string | undefined): Promise<KubeConnection> {
  const { readKubeconfig } = await import('./kubeconfig.ts');
  return readKubeconfig(files, context);
}

async function inCluster(host: string, port: string, folder: string): Promise<KubeConnection> {
  const tokenFile = join(folder, 'token');
  const token = async (): Promise<string> => (await readFile(tokenFile, 'utf8')).trim();
  try {
    const [ca, namespace] = await Promise.all([
      readFile(join(folder, 'ca.crt'), 'utf8'),
      readFile(join(folder, 'namespace'), 'utf8').catch(() => 'default'),
      token(),
    ]);
    return {
      server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      ca,
      insecureSkipTlsVerify: false,
      clientCertificate: undefined,
      token,
      namespace: namespace.trim(),
    };
  } catch (error) {
    const { message } = error as Error;
    throw new KollectError('KOL_CONFIG_KUBECONFIG', `the service account of the pod cannot be read: ${message}; is automountServiceAccountToken off?`, { cause: error });
  }
}
