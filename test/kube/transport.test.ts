import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { textOf, Transport } from '../../shared/kube/transport.ts';
import type { HttpRequest } from '../../shared/kube/transport.ts';

async function open(test: Test, listener: RequestListener, connections?: number) {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/path?a=b`);
  const transport = new Transport({ server: url.origin, ca: undefined, insecureSkipTlsVerify: false, clientCertificate: undefined, token: undefined, namespace: 'default' }, connections);
  test.teardown(() => {
    transport.close();
    server.close();
    server.closeAllConnections();
  });
  const send = (more: Partial<HttpRequest> = {}) => transport.send({ method: 'GET', url, headers: { accept: 'x/y' }, headTimeoutMs: 10_000, bodyTimeoutMs: 10_000, ...more });
  return { send, transport };
}

t.test('what is asked is sent, and what is answered comes whole', async (t) => {
  const { send } = await open(t, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.writeHead(201, { 'x-answer': 'yes' });
    for (const piece of [request.method, ' ', request.url, ' ', request.headers.accept, ' ', String(request.headers['content-length']), ' ', Buffer.concat(chunks).toString()]) response.write(piece);
    response.end();
  });
  const answer = await send({ method: 'POST', body: '{"ä":1}' });
  t.match(answer, { statusCode: 201, headers: { 'x-answer': 'yes' } });
  t.equal(await textOf(answer), 'POST /path?a=b x/y 8 {"ä":1}');
  t.equal(await textOf(await send()), 'GET /path?a=b x/y undefined ');
});

t.test('a connection that the server closed while it was idle costs a read nothing', async (t) => {
  const served = new Set<Socket>();
  const { send } = await open(t, (request, response) => {
    // The second request on a connection meets one that is about to close.
    if (served.has(request.socket)) return void request.socket.destroy();
    served.add(request.socket);
    response.end('ok');
  });
  for (let time = 0; time < 3; time++) t.equal(await textOf(await send()), 'ok');
  t.equal(served.size, 3);
  await t.rejects(send({ method: 'POST', body: '{}' }), { code: 'ECONNRESET' }, 'a write may have been taken');
});

t.test('silence ends a request, before the answer and within it, unless the body may be silent', async (t) => {
  const { send } = await open(t, (request, response) => {
    if (request.headers.accept === 'nothing') return;
    response.write('begin ');
    setTimeout(() => response.end('end'), 2_500);
  });
  await t.rejects(send({ headers: { accept: 'nothing' }, headTimeoutMs: 50 }), { code: 'ETIMEDOUT' });
  await t.rejects(send({ bodyTimeoutMs: 50 }).then(textOf));
  t.equal(await send({ bodyTimeoutMs: 0, headTimeoutMs: 2_000 }).then(textOf), 'begin end');
});

t.test('an aborted request ends at once, whatever it waits for', async (t) => {
  let held = 0;
  const { send } = await open(t, (request, response) => {
    held++;
    request.socket.once('close', () => held--);
    if (request.headers.accept === 'head') response.write('begin');
  });
  const reason = new Error('enough');
  await t.rejects(send({ signal: AbortSignal.abort(reason) }), reason);
  const early = new AbortController();
  const waiting = send({ signal: early.signal });
  setTimeout(() => early.abort(reason), 20);
  await t.rejects(waiting, reason);
  const late = new AbortController();
  const reading = await send({ headers: { accept: 'head' }, signal: late.signal });
  setTimeout(() => late.abort(reason), 20);
  await t.rejects(textOf(reading));
  while (held > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

t.test('an answer that breaks off is an error, and an end without an answer too', async (t) => {
  const { send } = await open(t, (request, response) => {
    if (request.headers.accept === 'none') return void request.socket.destroy();
    response.writeHead(200, { 'content-length': '10' });
    response.write('half');
    setImmediate(() => request.socket.destroy());
  });
  await t.rejects(send().then(textOf));
  await t.rejects(send({ headers: { accept: 'none' } }), { code: 'ECONNRESET' });
});

t.test('no more connections than allowed', async (t) => {
  let now = 0;
  let most = 0;
  const both = Promise.withResolvers<void>();
  const { send } = await open(
    t,
    (_request, response) => {
      most = Math.max(most, ++now);
      if (now === 2) both.resolve();
      // None is answered before two are there, and a third one has time to come.
      void both.promise.then(() => pause(20)).then(() => {
        now--;
        response.end('ok');
      });
    },
    2,
  );
  await Promise.all(Array.from({ length: 6 }, () => send({ method: 'POST' }).then(textOf)));
  t.equal(most, 2);
});
