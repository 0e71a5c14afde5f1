// A controller with little patience that waits for its lease, as a process of its own, which can be killed and frozen. Its argument is a JSON object.
import { setTimeout as pause } from 'node:timers/promises';
import { Controller } from '../../controller/controller.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { EventRecorder } from '../../shared/kube/events.ts';
import { LeaderElection } from '../../shared/kube/leader-election.ts';
import { createLogger } from '../../shared/log.ts';
import type { KeptControllerOptions } from './kept-controller.ts';

const { kubeconfig, identity, pace, lease } = JSON.parse(process.argv[2] ?? '{}') as KeptControllerOptions;
const logger = createLogger({ level: 'info', format: 'json', name: 'controller' });
process.on('unhandledRejection', (error) => logger.error('a promise was rejected and nobody waited for it', { error }));
const client = new KubeClient(await loadConnection({ kubeconfig }));
const events = new EventRecorder({ client, component: 'kollect-controller', instance: identity, logger });
const election = new LeaderElection({ client, ...lease, identity, events, logger });
const controller = await Controller.create({
  kubeconfig,
  policy: { allowPrivate: true, allowLoopback: true },
  mapHosts: new Map(),
  watchNamespaces: [],
  namespaceDefaults: { included: [], excluded: [] },
  scrubKeys: [],
  tenantMode: false,
  metricsSampleIntervalMs: 0,
  identity,
  leadership: election,
  logger,
  pace,
});
const stopping = new AbortController();
process.once('SIGTERM', () => {
  stopping.abort();
  void controller.stop().then(() => election.release()).finally(() => process.exit());
});
// Who leads no more ends, and is started again.
election.lost.addEventListener('abort', () => void Promise.race([controller.stop(), pause(2_000)]).finally(() => process.exit(1)));
await election.acquire(stopping.signal);
await controller.start();
