import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { KollectError } from '../errors.ts';
import type { KubeConnection } from './config.ts';

const Cluster = z.looseObject({
  server: z.url(),
  'certificate-authority': z.string().optional(),
  'certificate-authority-data': z.string().optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': z.string().optional(),
  'proxy-url': z.string().optional(),
});

const User = z.looseObject({
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  'client-certificate': z.string().optional(),
  'client-certificate-data': z.string().optional(),
  'client-key': z.string().optional(),
  'client-key-data': z.string().optional(),
  exec: z.unknown().optional(),
  'auth-provider': z.unknown().optional(),
  as: z.string().optional(),
});
type User = z.infer<typeof User>;

const Context = z.looseObject({ cluster: z.string(), user: z.string().optional(), namespace: z.string().optional() });

const Kubeconfig = z.looseObject({
  'current-context': z.string().nullish(),
  contexts: z.array(z.looseObject({ name: z.string(), context: z.unknown() })).nullish(),
  clusters: z.array(z.looseObject({ name: z.string(), cluster: z.unknown() })).nullish(),
  users: z.array(z.looseObject({ name: z.string(), user: z.unknown() })).nullish(),
});
type Kubeconfig = z.infer<typeof Kubeconfig>;

interface Found<T> {
  value: T;
  /** The file that it stands in: paths are relative to it. */
  file: string;
}

/**
 * Reads the current context of kubeconfig files. Where several files name the same thing, the first one counts; of several, those that do not exist
 * are passed over. Throws `KollectError` with the file and what it lacks.
 *
 * @param named the context to read instead of the current one
 */
export async function readKubeconfig(files: readonly string[], named?: string): Promise<KubeConnection> {
  const loaded: Found<Kubeconfig>[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && files.length > 1) return undefined;
      throw broken(error.message, error);
    });
    if (text !== undefined) loaded.push({ file, value: check(Kubeconfig, await parseYaml(text, file), file, '') });
  }
  const all = files.join(', ');
  const current = named ?? loaded.map(({ value }) => value['current-context']).find((name) => !!name);
  if (!current) throw broken(`${all}: no current-context is set`);
  const context = find(loaded, all, 'contexts', 'context', current, Context);
  const cluster = find(loaded, all, 'clusters', 'cluster', context.value.cluster, Cluster);
  const user: Found<User> = context.value.user ? find(loaded, all, 'users', 'user', context.value.user, User) : { value: {}, file: context.file };
  if (cluster.value['proxy-url']) throw broken(`${cluster.file}: proxy-url of cluster "${context.value.cluster}" is not supported`);
  if (user.value.as) throw broken(`${user.file}: impersonation ("as") of user "${context.value.user ?? ''}" is not supported`);
  const plugin = user.value.exec || user.value['auth-provider'] ? await startPlugin(user, cluster.value.server) : undefined;
  return {
    server: cluster.value.server.replace(/\/+$/, ''),
    ca: await content(cluster, 'certificate-authority'),
    serverName: cluster.value['tls-server-name'],
    insecureSkipTlsVerify: cluster.value['insecure-skip-tls-verify'] === true,
    clientCertificate: plugin?.clientCertificate ?? (await clientCertificate(user)),
    token: plugin?.token ?? tokenOf(user),
    namespace: context.value.namespace || 'default',
  };
}

/** JSON is YAML, and is read without the parser of the rest. */
async function parseYaml(text: string, file: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch {
    // Then it is written as most are.
  }
  // A CommonJS module: a bundle that loads it on first use has its default export alone.
  const { default: yaml } = await import('yaml');
  try {
    return yaml.parse(text);
  } catch (error) {
    if (!(error instanceof yaml.YAMLParseError)) throw error;
    // The parser's message quotes lines, which may hold a token.
    throw broken(`${file}: not readable as YAML (${error.code})`);
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, file: string, at: string): T {
  const { data, error } = schema.safeParse(value);
  if (!error) return data;
  const { path, message } = error.issues[0]!;
  throw broken(`${file}: ${[at, ...path].filter((part) => part !== '').join('.') || 'content'}: ${message}`);
}

function find<T>(
  loaded: readonly Found<Kubeconfig>[],
  all: string,
  list: 'contexts' | 'clusters' | 'users',
  field: string,
  name: string,
  schema: z.ZodType<T>,
): Found<T> {
  for (const { file, value } of loaded) {
    const entry = value[list]?.find((candidate) => candidate.name === name);
    if (entry) return { file, value: check(schema, entry[field] ?? {}, file, `${field} "${name}"`) };
  }
  throw broken(`${all}: no entry "${name}" in ${list}`);
}

/** Text of `<key>-data`, or of the file that `<key>` names. */
async function content({ file, value }: Found<Record<string, unknown>>, key: string): Promise<string | undefined> {
  const data = value[`${key}-data`];
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString('utf8');
  const path = value[key];
  if (typeof path !== 'string' || path === '') return undefined;
  return readFile(resolve(dirname(file), path), 'utf8').catch((error: Error) => {
    throw broken(`${file}: ${key}: ${error.message}`, error);
  });
}

async function clientCertificate(user: Found<User>): Promise<KubeConnection['clientCertificate']> {
  const [cert, key] = [await content(user, 'client-certificate'), await content(user, 'client-key')];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw broken(`${user.file}: a client certificate needs client-certificate and client-key`);
  return { cert, key };
}

function tokenOf({ file, value }: Found<User>): KubeConnection['token'] {
  const { token, tokenFile } = value;
  if (tokenFile) {
    const path = resolve(dirname(file), tokenFile);
    return async () => (await readFile(path, 'utf8')).trim();
  }
  return token ? async () => token : undefined;
}

/** Credential plugins are what client-node knows; it is loaded for them alone, because it costs 60 MB. It keeps what a plugin said until it expires. */
async function startPlugin({ file, value: user }: Found<User>, server: string): Promise<Pick<KubeConnection, 'token' | 'clientCertificate'>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const load = (): InstanceType<typeof KubeConfig> => {
    const config = new KubeConfig();
    const named = { contexts: [{ name: 'current', context: { cluster: 'current', user: 'current' } }], 'current-context': 'current' };
    config.loadFromString(JSON.stringify({ ...named, clusters: [{ name: 'current', cluster: { server } }], users: [{ name: 'current', user }] }));
    config.makePathsAbsolute(dirname(file));
    return config;
  };
  const run = async (config: InstanceType<typeof KubeConfig>) => {
    const options: { headers: Record<string, string>; cert?: string | Buffer; key?: string | Buffer } = { headers: {} };
    await config.applyToHTTPSOptions(options as Parameters<typeof config.applyToHTTPSOptions>[0]).catch((error: unknown) => {
      // A parser's message quotes what the plugin wrote, which may be a token.
      const what = error instanceof SyntaxError ? 'what it wrote is no JSON' : String(error);
      throw broken(`${file}: the credential plugin of the current user failed: ${what}`);
    });
    return { ...options, token: /^Bearer (.+)$/.exec(options.headers['Authorization'] ?? '')?.[1] };
  };
  let config = load();
  const { cert, key, token } = await run(config);
  return {
    clientCertificate: cert && key ? { cert: cert.toString(), key: key.toString() } : undefined,
    token:
      token === undefined
        ? undefined
        : async (refused) => {
            if (refused) config = load();
            return (await run(config)).token;
          },
  };
}

function broken(message: string, cause?: unknown): KollectError {
  return new KollectError('KOL_CONFIG_KUBECONFIG', message, { cause });
}
