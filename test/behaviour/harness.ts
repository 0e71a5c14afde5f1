import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { startCluster } from '../servers/cluster.ts';
import type { Cluster, ClusterOptions } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import type { EventuallyOptions } from '../servers/eventually.ts';
import { freePort } from '../servers/free-port.ts';
import type { CommandResult, Kubectl, KubectlOptions } from '../servers/kubernetes/kubectl.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import type { Postgres } from '../servers/postgres/index.ts';
import { kollectProcess } from './kollect-process.ts';
import type { KollectProcess } from './kollect-process.ts';
import { registerWebhook } from './webhook-registration.ts';

export interface KollectOptions {
  /** Ends everything with this test, which gets the last log lines of both processes when it failed. Without it the caller calls stop(). */
  test?: Test;
  /** False: the webhook does not run and is not registered, as in an installation without it. */
  webhook?: boolean;
  /** False: the controller is made, and started by the test. */
  startController?: boolean;
  webhookFlags?: readonly string[];
  controllerFlags?: readonly string[];
  cluster?: ClusterOptions;
  /** Of PostgreSQL's superuser, and so in `dsn`; random when unset. */
  databasePassword?: string;
  /** Further values of `--map-host`, besides postgres.kollect-system.svc:5432. */
  mapHosts?: readonly string[];
}

export interface Kollect {
  cluster: Cluster;
  postgres: Postgres;
  kubectl: Kubectl;
  webhook: KollectProcess & { url: string; caPem: string };
  controller: KollectProcess & { metricsUrl: string };
  /** `kubectl apply` of objects or of YAML. Rejects with what kubectl says when it fails; for refusals use `kubectl`. */
  apply(documents: object | readonly object[] | string, options?: KubectlOptions & { flags?: readonly string[] }): Promise<CommandResult>;
  /** One object as the API server has it, or undefined. */
  get<T = KubernetesObject>(resource: string, name: string, namespace?: string): Promise<T | undefined>;
  /** A database of this environment, empty at first. */
  database: string;
  /** A DSN of that database as the superuser, for Secrets. */
  dsn: string;
  /** Runs a statement in that database and gives its rows. */
  psql<R extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<R[]>;
  /** Makes a namespace that no other test has, and gives its name. */
  namespace(labels?: Readonly<Record<string, string>>): Promise<string>;
  eventually: <R>(attempt: () => R | Promise<R>, options?: EventuallyOptions) => Promise<Exclude<R, undefined | false>>;
  stop(): Promise<void>;
}

export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; uid: string; generation?: number; resourceVersion: string; finalizers?: string[]; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

const crdFolder = join(import.meta.dirname, '..', '..', 'manifests', 'crds');

/**
 * Starts all that a user of Kollect has: a cluster with our CRDs, the webhook registered over TLS, the controller and PostgreSQL, each a process
 * of its own. Ready in about five seconds.
 *
 * @example
 * const kollect = await startKollect({ test: t });
 * const namespace = await kollect.namespace();
 * await kollect.apply(profile, { flags: ['-n', namespace] });
 * await kollect.eventually(async () => (await kollect.psql('select 1 from inventory_items')).length === 3);
 */
export async function startKollect(options: KollectOptions = {}): Promise<Kollect> {
  const { test, databasePassword } = options;
  const startingCluster = startCluster({ controllerManager: true, ...options.cluster });
  const startingPostgres = startPostgres(databasePassword === undefined ? {} : { password: databasePassword });
  const stop = async () => {
    // The cluster's keeper holds Kollect's processes too: they end while the database still answers.
    for (const starting of [startingCluster, startingPostgres]) await starting.then((server) => server.stop(), () => {});
  };
  try {
    const [cluster, postgres] = await Promise.all([startingCluster, startingPostgres]);
    const kollect = await assemble(cluster, postgres, options, stop);
    test?.teardown(async () => {
      if (!test.passing()) for (const name of ['webhook', 'controller'] as const) test.comment(`the end of the log of the ${name}:\n${lastLines(kollect[name].logs())}`);
      await stop();
    });
    return kollect;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function assemble(cluster: Cluster, postgres: Postgres, options: KollectOptions, stop: () => Promise<void>): Promise<Kollect> {
  const mapHosts = [`postgres.kollect-system.svc:5432=127.0.0.1:${postgres.port}`, ...(options.mapHosts ?? [])];
  // Everything of these tests is on this machine.
  const common = ['--allow-loopback-sinks', ...mapHosts.map((value) => `--map-host=${value}`)];
  const webhook = await makeWebhook(cluster, [...common, ...(options.webhookFlags ?? [])]);
  const controller = await makeController(cluster, [...common, ...(options.controllerFlags ?? [])]);
  const withWebhook = options.webhook !== false;

  const [database] = await Promise.all([postgres.createDatabase('kollect'), installCrds(cluster), withWebhook ? webhook.start() : undefined]);
  await done(cluster.kubectl(['create', 'namespace', 'kollect-system']));
  if (withWebhook) await registerWebhook(cluster, webhook);
  if (options.startController !== false) await controller.start();

  const apply: Kollect['apply'] = (documents, { flags = [], ...rest } = {}) =>
    done(cluster.kubectl(['apply', ...flags, '-f', '-'], { ...rest, stdin: manifestOf(documents) }));
  const get = async <T>(resource: string, name: string, namespace?: string) => {
    const scope = namespace === undefined ? [] : [`--namespace=${namespace}`];
    const { stdout } = await done(cluster.kubectl(['get', resource, name, ...scope, '--ignore-not-found', '--output=json']));
    return stdout.trim() === '' ? undefined : (JSON.parse(stdout) as T);
  };
  const namespace: Kollect['namespace'] = async (labels = {}) => {
    const name = `test-${randomBytes(5).toString('hex')}`;
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    return name;
  };
  const psql: Kollect['psql'] = (sql, values = []) => postgres.query(sql, values, database);
  return { cluster, postgres, kubectl: cluster.kubectl, webhook, controller, apply, get, database, dsn: postgres.dsn(database), psql, namespace, eventually, stop };
}

async function makeWebhook(cluster: Cluster, flags: readonly string[]): Promise<Kollect['webhook']> {
  const folder = join(cluster.folder, 'webhook-certificate');
  mkdirSync(folder);
  const authority = createAuthority('Kollect test authority');
  const { certificate, key } = issueCertificate(authority, { hosts: ['127.0.0.1'] });
  writeFileSync(join(folder, 'tls.crt'), certificate);
  writeFileSync(join(folder, 'tls.key'), key, { mode: 0o600 });
  const port = await freePort();
  // No endpoint has to forget it before it stops.
  const all = [`--port=${port}`, `--cert-path=${folder}`, '--shutdown-delay=0s', ...flags];
  return { ...kollectProcess(cluster.keeper, { name: 'webhook', flags: all, healthPort: await freePort() }), url: `https://127.0.0.1:${port}`, caPem: authority.certificate };
}

async function makeController(cluster: Cluster, flags: readonly string[]): Promise<Kollect['controller']> {
  const metricsPort = await freePort();
  const all = [`--kubeconfig=${cluster.kubeconfig}`, `--metrics-bind-address=127.0.0.1:${metricsPort}`, ...flags];
  return { ...kollectProcess(cluster.keeper, { name: 'controller', flags: all, healthPort: await freePort() }), metricsUrl: `http://127.0.0.1:${metricsPort}/metrics` };
}

/** Objects that are applied before a CRD is established fail. */
async function installCrds(cluster: Cluster): Promise<void> {
  const source = existsSync(join(crdFolder, 'kustomization.yaml')) ? ['-k', crdFolder] : ['-f', crdFolder];
  await done(cluster.kubectl(['apply', '--server-side', ...source]));
  await done(cluster.kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']));
}

function manifestOf(documents: object | readonly object[] | string): string {
  if (typeof documents === 'string') return documents;
  return JSON.stringify(Array.isArray(documents) ? { apiVersion: 'v1', kind: 'List', items: documents } : documents);
}

async function done(command: Promise<CommandResult>): Promise<CommandResult> {
  const result = await command;
  if (result.code !== 0) throw new Error(result.stderr);
  return result;
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-40).join('\n');
}
