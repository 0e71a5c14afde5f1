import { hostname } from 'node:os';
import { refuseDevelopmentFlagsInCluster } from '../shared/development-flags.ts';
import { createLogger, type Logger } from '../shared/log.ts';
import { parseHostMap } from '../shared/net/host-map.ts';
import { createHealthServer, createMetricsServer, listenAt, stopSignals } from '../shared/side-servers.ts';
import { versionText } from '../shared/version.ts';
import { Controller } from './controller.ts';
import { parseOptions, type ControllerOptions } from './options.ts';

async function main(): Promise<void> {
  let options: ControllerOptions;
  try {
    options = parseOptions(process.argv.slice(2));
    refuseDevelopmentFlagsInCluster(options, process.env);
    parseHostMap(options['map-host']);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
    return;
  }
  if (options.help !== undefined) return void process.stdout.write(options.help);
  if (options.version) return void process.stdout.write(`${versionText()}\n`);

  const logger = createLogger({ level: options['log-level'], format: options['log-format'], name: 'controller' });
  // A bug in one place must not end all collection: it is logged, and the retry of whoever waits for it repairs the rest.
  process.on('unhandledRejection', (error) => logger.error('a promise was rejected and nobody waited for it', { error }));
  try {
    await run(options, logger);
  } catch (error) {
    logger.error('cannot run', { error });
    // A server that is up already would keep a process alive that does nothing.
    process.exit(1);
  }
}

/** Runs until SIGTERM or SIGINT. */
async function run(options: ControllerOptions, logger: Logger): Promise<void> {
  const stop = stopSignals();
  const controller = await Controller.create({
    kubeconfig: options.kubeconfig,
    policy: { allowPrivate: options['allow-private-sinks'], allowLoopback: options['allow-loopback-sinks'] },
    mapHosts: parseHostMap(options['map-host']),
    watchNamespaces: options['watch-namespaces'],
    namespaceDefaults: { included: options['default-included-namespaces'], excluded: options['default-excluded-namespaces'] },
    scrubKeys: options['scrub-keys'],
    tenantMode: options['tenant-mode'],
    auditIntervalMs: options['audit-interval'],
    denialGraceMs: options['denial-grace'],
    maxNamespaceWatches: options['max-namespace-watches'],
    pollMs: Math.max(1_000, options['namespace-poll-interval']),
    metricsSampleIntervalMs: options['collect-metrics-sample-interval'],
    identity: process.env['POD_NAME'] ?? hostname(),
    logger,
  });
  const side = [
    await listenAt(createHealthServer(() => controller.notReady), options['health-probe-bind-address']),
    await listenAt(createMetricsServer(controller.metrics.registry), options['metrics-bind-address']),
  ];
  logger.info('starting', { version: versionText(), server: controller.server });
  const running = controller.start();
  const signal = await Promise.race([stop.first, running.then(() => stop.first)]);
  logger.info('stopping', { signal });
  await Promise.race([controller.stop(), stop.second]);
  for (const server of side) {
    server?.close();
    server?.closeAllConnections();
  }
  logger.info('stopped');
  process.exit();
}

await main();
