import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { refuseDevelopmentFlagsInCluster } from '../shared/development-flags.ts';
import type { KollectError } from '../shared/errors.ts';
import type { LeaderElection, LeaseTimes } from '../shared/kube/leader-election.ts';
import { createLogger, type Logger } from '../shared/log.ts';
import { parseHostMap } from '../shared/net/host-map.ts';
import { createHealthServer, createMetricsServer, listenAt, stopSignals } from '../shared/side-servers.ts';
import { versionText } from '../shared/version.ts';
import { Controller } from './controller.ts';
import { leaderElection, leaseTimes, observeLeadership } from './leadership.ts';
import { parseOptions, type ControllerOptions } from './options.ts';

async function main(): Promise<void> {
  let options: ControllerOptions;
  try {
    options = parseOptions(process.argv.slice(2));
    refuseDevelopmentFlagsInCluster(options, process.env);
    parseHostMap(options['map-host']);
    leaseTimes(options);
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

/** What is under way when the lease is lost has so long to be cancelled. */
const lossMs = 2_000;

/** Runs until SIGTERM or SIGINT, or until another process leads. */
async function run(options: ControllerOptions, logger: Logger): Promise<void> {
  const stop = stopSignals();
  const election = options['leader-elect'] ? await leaderElection(options, process.env, logger) : undefined;
  const controller = await Controller.create({
    kubeconfig: options.kubeconfig,
    policy: { allowPrivate: options['allow-private-sinks'], allowLoopback: options['allow-loopback-sinks'] },
    mapHosts: parseHostMap(options['map-host']),
    sinkTypes: options.sinks,
    watchNamespaces: options['watch-namespaces'],
    namespaceDefaults: { included: options['default-included-namespaces'], excluded: options['default-excluded-namespaces'] },
    scrubKeys: options['scrub-keys'],
    tenantMode: options['tenant-mode'],
    auditIntervalMs: options['audit-interval'],
    verifyIntervalMs: options['verify-interval'],
    denialGraceMs: options['denial-grace'],
    maxNamespaceWatches: options['max-namespace-watches'],
    pollMs: Math.max(1_000, options['namespace-poll-interval']),
    metricsSampleIntervalMs: options['collect-metrics-sample-interval'],
    identity: process.env['POD_NAME'] ?? hostname(),
    leadership: election,
    logger,
  });
  if (election) observeLeadership(election, controller.metrics.registry);
  const stopping = new AbortController();
  void stop.first.then(() => stopping.abort());
  const notReady = (): string | undefined => {
    if (stopping.signal.aborted) return 'stopping';
    // A process that waits for the lease is as ready as it can be.
    return election && !election.isLeading ? election.trouble : controller.notReady;
  };
  const side = [
    await listenAt(createHealthServer(notReady), options['health-probe-bind-address']),
    await listenAt(createMetricsServer(controller.metrics.registry), options['metrics-bind-address']),
  ];
  logger.info('starting', { version: versionText(), server: controller.server });
  const running = lead(controller, election, leaseTimes(options), stopping.signal);
  const end = await Promise.race([stop.first, lossOf(election), running.then(() => stop.first)]);
  if (typeof end !== 'string') {
    logger.error('does not lead any more: ends, to start again as one that waits', { error: end });
    await Promise.race([controller.stop(), sleep(lossMs)]);
    process.exit(1);
  }
  logger.info('stopping', { signal: end });
  // The next leader begins when nothing of ours is under way any more.
  await Promise.race([controller.stop().then(() => election?.release()), stop.second]);
  for (const server of side) {
    server?.close();
    server?.closeAllConnections();
  }
  logger.info('stopped');
  process.exit();
}

/** Resolves when the controller runs, as soon as it may. */
async function lead(controller: Controller, election: LeaderElection | undefined, { durationMs }: LeaseTimes, signal: AbortSignal): Promise<void> {
  const takeover = await election?.acquire(signal);
  if (takeover?.inherited) controller.expectLateWrites(durationMs);
  await controller.start();
}

/** Resolves when another process may lead, with the reason; never without an election. */
function lossOf(election: LeaderElection | undefined): Promise<KollectError> {
  return new Promise((resolve) => election?.lost.addEventListener('abort', () => resolve(election.lost.reason as KollectError)));
}

await main();
