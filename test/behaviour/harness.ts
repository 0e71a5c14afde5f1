import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { controllerProcess, installCrds, installPolicies, postgresHost, webhookProcess } from '../kollect/installation.ts';
import type { ControllerProcess, WebhookProcess } from '../kollect/installation.ts';
import { registerWebhook } from '../kollect/registration.ts';
import { webhookAccount } from '../kollect/service-account.ts';
import { startCluster } from '../servers/cluster.ts';
import type { Cluster, ClusterOptions } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import type { EventuallyOptions } from '../servers/eventually.ts';
import type { Kubectl, KubectlOptions } from '../servers/kubernetes/kubectl.ts';
import type { CommandResult } from '../servers/run-command.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import type { Postgres } from '../servers/postgres/index.ts';
import type { Report } from '../servers/progress.ts';

export interface KollectOptions {
  /** Ends everything with this test, which gets the last log lines of both processes when it failed. Without it the caller calls stop(). */
  test?: Test;
  /** False: the webhook does not run and is not registered, as in an installation without it. */
  webhook?: boolean;
  /** False: the controller is made, and started by the test. */
  startController?: boolean;
  webhookFlags?: readonly string[];
  controllerFlags?: readonly string[];
  controllerEnvironment?: NodeJS.ProcessEnv;
  cluster?: ClusterOptions;
  /** Of PostgreSQL's superuser, and so in `dsn`; random when unset. */
  databasePassword?: string;
  /** Further values of `--map-host`, besides postgres.kollect-system.svc:5432. */
  mapHosts?: readonly string[];
  /** Gets a line at a time about servers that are obtained first. */
  report?: Report;
}

export interface Kollect {
  cluster: Cluster;
  postgres: Postgres;
  kubectl: Kubectl;
  webhook: WebhookProcess;
  controller: ControllerProcess;
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
  const { test, databasePassword, report } = options;
  const startingCluster = startCluster({ controllerManager: true, ...(report === undefined ? {} : { report }), ...options.cluster });
  const startingPostgres = startPostgres({ report, ...(databasePassword === undefined ? {} : { password: databasePassword }) });
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
  const mapHosts = [postgresHost(postgres.port), ...(options.mapHosts ?? [])];
  // Everything of these tests is on this machine.
  const common = ['--allow-loopback-sinks', ...mapHosts.map((value) => `--map-host=${value}`)];
  const [kubeconfig, database] = await Promise.all([webhookAccount(cluster), postgres.createDatabase('kollect'), installCrds(cluster.kubectl), installPolicies(cluster.kubectl)]);
  const webhook = await webhookProcess(cluster.keeper, { kubeconfig, flags: [...common, ...(options.webhookFlags ?? [])] });
  const controller = await controllerProcess(cluster.keeper, { kubeconfig: cluster.kubeconfig, environment: options.controllerEnvironment, flags: [...common, ...(options.controllerFlags ?? [])] });
  const withWebhook = options.webhook !== false;

  if (withWebhook) {
    await webhook.start();
    await registerWebhook(cluster.kubectl, webhook);
  }
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
