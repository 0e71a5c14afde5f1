import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Registry } from 'prom-client';
import type { BindAddress } from './bind-address.ts';

/** `/healthz` says that the process lives, `/readyz` that it should get requests; `notReady` says why not. */
export function createHealthServer(notReady: () => string | undefined): Server {
  return createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    if (path === '/healthz') return void response.end('ok');
    if (path !== '/readyz') return void response.writeHead(404).end();
    const reason = notReady();
    if (reason !== undefined) response.writeHead(503);
    response.end(reason ?? 'ok');
  });
}

/** `/metrics` in the text format of Prometheus. */
export function createMetricsServer(registry: Registry): Server {
  return createServer((request, response) => {
    if (request.url?.split('?', 1)[0] !== '/metrics') return void response.writeHead(404).end();
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
}

/** Resolves with the listening server, or with nothing when the address is off. */
export async function listenAt(server: Server, address: BindAddress | undefined): Promise<Server | undefined> {
  if (address === undefined) return undefined;
  server.listen(address);
  await once(server, 'listening');
  return server;
}

/** The first SIGTERM or SIGINT asks for a clean stop, the second for a quick one. */
export function stopSignals(): { first: Promise<NodeJS.Signals>; second: Promise<NodeJS.Signals> } {
  const first = Promise.withResolvers<NodeJS.Signals>();
  const second = Promise.withResolvers<NodeJS.Signals>();
  let count = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => (count++ === 0 ? first : second).resolve(signal));
  return { first: first.promise, second: second.promise };
}
