import { startKollect } from '../behaviour/harness.ts';
import { createInventoryDatabase } from './database.ts';
import type { Environment } from './environment.ts';
import type { Screen } from './screen.ts';

const readableLog = ['--log-format=text'];

/** Starts a cluster of its own with Kollect on it, as tests do. */
export async function ownCluster(screen: Screen): Promise<Environment> {
  screen.line('Kubernetes API server, PostgreSQL, webhook and controller start on this machine.');
  const since = performance.now();
  const kollect = await startKollect({ report: (line) => screen.note(line), webhookFlags: readableLog, controllerFlags: readableLog });
  try {
    const { cluster, postgres, kubectl, webhook, controller } = kollect;
    const database = await createInventoryDatabase(postgres);
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    screen.good(`Kubernetes API server at ${cluster.url}`);
    screen.good(`PostgreSQL at 127.0.0.1:${postgres.port}`);
    screen.good(`webhook, called over TLS with a certificate of this run, at ${webhook.url}`);
    screen.good(`controller (all ready after ${seconds} s)`);
    const stop = async () => {
      await database.close();
      await kollect.stop();
    };
    return {
      kubectl,
      kubectlPath: cluster.kubectlPath,
      kubeconfig: cluster.kubeconfig,
      folder: cluster.folder,
      namespace: 'default',
      secretNamespace: 'kollect-system',
      samples: 'config/samples/',
      database,
      webhook,
      controller,
      withoutWebhook: undefined,
      stop,
    };
  } catch (error) {
    await kollect.stop();
    throw error;
  }
}
