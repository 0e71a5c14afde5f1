// A controller with little patience as a process of its own, which can be killed and frozen. Its argument is a JSON object of settings.
import { Controller, type ControllerPace } from '../../controller/controller.ts';
import { createLogger } from '../../shared/log.ts';

const { kubeconfig, identity, pace } = JSON.parse(process.argv[2] ?? '{}') as { kubeconfig: string; identity: string; pace: ControllerPace };
const logger = createLogger({ level: 'info', format: 'json', name: 'controller' });
process.on('unhandledRejection', (error) => logger.error('a promise was rejected and nobody waited for it', { error }));
const controller = await Controller.create({
  kubeconfig,
  policy: { allowPrivate: true, allowLoopback: true },
  mapHosts: new Map(),
  watchNamespaces: [],
  namespaceDefaults: { included: [], excluded: [] },
  scrubKeys: [],
  tenantMode: true,
  metricsSampleIntervalMs: 0,
  identity,
  logger,
  pace,
});
process.once('SIGTERM', () => void controller.stop().finally(() => process.exit()));
await controller.start();
