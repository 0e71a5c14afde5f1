import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { controllerProcess, crdNames, installCrds, postgresHost, webhookProcess } from '../kollect/installation.ts';
import { openKeeper, plainEnvironment } from '../servers/keeper.ts';
import type { Keeper } from '../servers/keeper.ts';
import { kubectlBinary } from '../servers/kubernetes/binaries.ts';
import { kubectlFor } from '../servers/kubernetes/kubectl.ts';
import type { Kubectl } from '../servers/kubernetes/kubectl.ts';
import type { CommandResult } from '../servers/run-command.ts';
import { obtain } from '../servers/obtain.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { cleanUp, kollectObjects, ownLabel, presentCrds, remains } from './clean-up.ts';
import { createInventoryDatabase } from './database.ts';
import type { Environment } from './environment.ts';
import { addressesTowards, registerReachable } from './reachable-webhook.ts';
import type { Screen } from './screen.ts';

const namespace = 'kollect-sandbox';

/**
 * Puts Kollect on the cluster of a kubeconfig; webhook, controller and PostgreSQL run on this machine. Everything it creates bears a label and
 * is removed in the end, also when this process is killed. Rejects when the cluster has Kollect already: two controllers would get in each other's way.
 */
export async function givenCluster(kubeconfig: string, screen: Screen): Promise<Environment> {
  if (!existsSync(kubeconfig)) throw new Error(`there is no kubeconfig ${kubeconfig}`);
  const report = (line: string) => screen.note(line);
  const command = await kubectlProgram(report);
  const startingPostgres = startPostgres({ report });
  const keeper = await openKeeper();
  const stopAll = async () => {
    await keeper.stop();
    await startingPostgres.then((postgres) => postgres.stop(), () => {});
  };
  try {
    const cacheFolder = join(keeper.folder, 'kubectl-cache');
    const kubectl = kubectlFor(command, { kubeconfig, cacheFolder });
    const server = await serverOf(kubectl);
    await refuseForeignInstallation(kubectl, screen);
    screen.good(`Kubernetes API server at ${server}`);

    const postgres = await startingPostgres;
    const database = await createInventoryDatabase(postgres);
    screen.good(`PostgreSQL at 127.0.0.1:${postgres.port} of this machine`);

    const hosts = await addressesTowards(server);
    const flags = ['--allow-loopback-sinks', `--map-host=${postgresHost(postgres.port)}`, '--log-format=text'];
    // From here on the cluster is cleaned, whatever happens.
    const afterwards = cleanUpCommand(keeper, [command, kubeconfig, cacheFolder]);
    const webhook = await webhookProcess(keeper, { hosts: ['127.0.0.1', ...hosts], kubeconfig, flags, afterwards });
    await install(kubectl, screen);
    await webhook.start();
    screen.note('trying whether the API server can call the webhook on this machine');
    const registration = await registerReachable(kubectl, webhook, { hosts, namespace, label: ownLabel });
    if ('host' in registration) screen.good(`webhook, called over TLS with a certificate of this run, at https://${registration.host}:${webhook.port}`);
    else screen.bad(`the API server cannot reach the webhook on this machine, so it is not registered (${registration.reason})`);
    const controller = await controllerProcess(keeper, { kubeconfig, flags });
    await controller.start();
    screen.good('controller');

    const stop = async () => {
      await database.close();
      await keeper.stop();
      // The folder of its cache has gone with the keeper.
      const left = await remains(kubectlFor(command, { kubeconfig, cacheFolder: join(postgres.folder, 'kubectl-cache') }));
      await postgres.stop();
      if (left.length > 0) throw new Error(`left in the cluster, because others use it or it could not be removed: ${left.join(', ')}`);
    };
    return {
      kubectl,
      kubectlPath: command,
      kubeconfig,
      folder: keeper.folder,
      namespace,
      secretNamespace: namespace,
      samples: writeOverlay(keeper.folder),
      database,
      webhook,
      controller,
      withoutWebhook: 'host' in registration ? undefined : registration.reason,
      stop,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

/** The user's own, which fits his cluster; else one is obtained. */
async function kubectlProgram(report: (line: string) => void): Promise<string> {
  const own = await kubectlFor('kubectl', { kubeconfig: '', cacheFolder: '' })(['version', '--client']).catch(() => undefined);
  return own?.code === 0 ? 'kubectl' : (await obtain([kubectlBinary], { report })).kubectl;
}

async function serverOf(kubectl: Kubectl): Promise<string> {
  const { stdout } = await done(kubectl(['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}']));
  await done(kubectl(['get', '--raw', '/version', '--request-timeout=20s']));
  return stdout;
}

/** Removes what a killed sandbox left, and rejects when there is more. */
async function refuseForeignInstallation(kubectl: Kubectl, screen: Screen): Promise<void> {
  const left = await remains(kubectl);
  if (left.length > 0) {
    screen.note(`removing what an earlier sandbox left: ${left.join(', ')}`);
    await cleanUp(kubectl);
  }
  const { stdout: webhooks } = await done(kubectl(['get', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-l', 'app.kubernetes.io/name=kollect', '-o', 'name']));
  const objects = (await kollectObjects(kubectl)).map(({ resource, namespace: where, name }) => `${resource}/${name}${where === undefined ? '' : ` in ${where}`}`);
  const found = [...webhooks.split('\n').filter((line) => line !== ''), ...objects];
  if (found.length > 0) {
    const shown = found.length > 5 ? `${found.slice(0, 5).join(', ')} and ${found.length - 5} more` : found.join(', ');
    throw new Error(`this cluster has Kollect already, and two controllers would get in each other's way. Found: ${shown}. Use another cluster, or the sandbox without --kubeconfig`);
  }
  const { stdout: taken } = await done(kubectl(['get', 'namespace', namespace, '--ignore-not-found', '-o', 'name']));
  if (taken !== '') throw new Error(`the namespace ${namespace} exists and is not of a sandbox: remove or rename it`);
}

async function install(kubectl: Kubectl, screen: Screen): Promise<void> {
  const present = new Set(await presentCrds(kubectl));
  const missing = crdNames.filter((name) => !present.has(name));
  await installCrds(kubectl, missing);
  if (missing.length > 0) await done(kubectl(['label', 'crd', ...missing, ownLabel]));
  screen.good(`CustomResourceDefinitions: ${missing.length} installed${present.size > 0 ? `, ${present.size} were there and stay as they are` : ''}`);
  await done(kubectl(['create', 'namespace', namespace]));
  await done(kubectl(['label', 'namespace', namespace, ownLabel]));
}

function cleanUpCommand(keeper: Keeper, args: string[]) {
  const program = join(import.meta.dirname, 'clean-up-process.ts');
  return { command: process.execPath, args: [program, ...args], env: plainEnvironment(), log: join(keeper.folder, 'clean-up.log'), stop: [] };
}

/** The samples in the namespace of the sandbox, their Secret included. */
function writeOverlay(folder: string): string {
  const overlay = join(folder, 'samples');
  mkdirSync(overlay);
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace,
    resources: [relative(overlay, join(process.cwd(), 'manifests', 'samples'))],
    patches: [{ target: { kind: 'KollectDatabaseSink' }, patch: JSON.stringify([{ op: 'replace', path: '/spec/postgres/databaseRef/namespace', value: namespace }]) }],
  };
  writeFileSync(join(overlay, 'kustomization.yaml'), JSON.stringify(kustomization, null, 2));
  return overlay;
}

async function done(command: Promise<CommandResult>): Promise<CommandResult> {
  const result = await command;
  if (result.code !== 0) throw new Error(result.stderr.trim());
  return result;
}
