import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { installationPolicy } from '../shared/admission-flags.ts';
import { refuseDevelopmentFlagsInCluster } from '../shared/development-flags.ts';
import { parseFlags } from '../shared/flags.ts';
import type { FlagValues } from '../shared/flags.ts';
import { createLogger } from '../shared/log.ts';
import type { Logger } from '../shared/log.ts';
import { parseHostMap } from '../shared/net/host-map.ts';
import { createHealthServer, createMetricsServer, listenAt, stopSignals } from '../shared/side-servers.ts';
import { versionText } from '../shared/version.ts';
import { openCluster } from './cluster.ts';
import { webhookFlags } from './flags.ts';
import { listenOnAll } from './listen.ts';
import { createMetrics } from './metrics.ts';
import { createReviewer } from './reviewer.ts';
import { buildServer, tlsDefaults } from './server.ts';
import { firstCertificate, reloadCertificate } from './tls-reload.ts';

type Flags = FlagValues<typeof webhookFlags>;

/** Requests under way get this long after the server stopped taking new connections. */
const drainMs = 15_000;

async function main(): Promise<void> {
  let flags: Flags;
  try {
    flags = parseFlags(webhookFlags, process.argv.slice(2), { usage: 'webhook [flags]' });
    refuseDevelopmentFlagsInCluster(flags, process.env);
    parseHostMap(flags['map-host']);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
    return;
  }
  if (flags.help !== undefined) return void process.stdout.write(flags.help);
  if (flags.version) return void process.stdout.write(`${versionText()}\n`);

  const log = createLogger({ level: flags['log-level'], format: flags['log-format'], name: 'webhook' });
  try {
    await run(flags, log);
  } catch (error) {
    log.error('cannot serve', { error });
    // The health server is up already and would keep a process alive that serves nothing.
    process.exit(1);
  }
}

/** Serves until SIGTERM or SIGINT, then leaves without failing a request. */
async function run(flags: Flags, log: Logger): Promise<void> {
  let state: 'starting' | 'serving' | 'stopping' = 'starting';
  const stop = stopSignals();
  const metrics = createMetrics();
  const { watched, authorize, close } = await openCluster(flags, { registry: metrics.registry, log });
  const health = createHealthServer(() => (state === 'serving' ? watched.notSynced : state));
  const side = [await listenAt(health, flags['health-probe-bind-address']), await listenAt(createMetricsServer(metrics.registry), flags['metrics-bind-address'])];

  const end = async (): Promise<void> => {
    for (const server of side) {
      server?.close();
      server?.closeAllConnections();
    }
    await close();
  };

  const files = { directory: flags['cert-path'], certificateName: flags['cert-name'], keyName: flags['cert-key'], clientCa: flags['client-ca-path'] };
  const leaving = new AbortController();
  void stop.first.then(() => leaving.abort());
  const certificate = await firstCertificate(files, { log: log.child({ logger: 'tls' }), signal: leaving.signal });
  if (certificate === undefined) return end();
  metrics.certificateServed(certificate.expiresAt);
  const app = buildServer({
    certificate,
    metrics,
    isStopping: () => state === 'stopping',
    revision: () => watched.revision,
    review: createReviewer({ log, installation: installationPolicy(flags), state: watched, authorize, lookupFailed: metrics.lookupFailed }),
  });
  const stopReloading = reloadCertificate({
    files,
    current: certificate,
    serve: ({ cert, key, ca }) => app.server.setSecureContext({ cert, key, ca, ...tlsDefaults }),
    metrics,
    log: log.child({ logger: 'tls' }),
  });
  await listenOnAll(app, flags.port);
  state = 'serving';
  // What needs no other object is answered from here on; ready it is when the rest can be judged, too.
  void watched.synced.then(() => log.info('ready'));
  log.info('serving', { port: port(app.server), healthPort: side[0] && port(side[0]), metricsPort: side[1] && port(side[1]), certificateExpiresAt: certificate.expiresAt.toISOString() });

  const signal = await stop.first;
  state = 'stopping';
  log.info('stopping', { signal, delayMs: flags['shutdown-delay'] });
  // Endpoints follow readiness with a delay; until they have, requests come and are served. A second signal is impatient.
  const delay = new AbortController();
  await Promise.race([sleep(flags['shutdown-delay'], undefined, { signal: delay.signal }).catch(() => {}), stop.second]);
  delay.abort();
  const overdue = setTimeout(() => app.server.closeAllConnections(), drainMs).unref();
  await app.close();
  clearTimeout(overdue);
  stopReloading();
  await end();
  log.info('stopped');
}

function port(server: { address(): AddressInfo | string | null }): number | undefined {
  const address = server.address();
  return typeof address === 'object' ? address?.port : undefined;
}

await main();
