import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Registry } from 'prom-client';

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
