import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { cutOffStalledClients } from '../../webhook/stalled-clients.ts';
import { eventually } from '../servers/eventually.ts';
import { objectOf } from '../admission/objects.ts';
import { pathOf, reviewOf, testServer } from './harness.ts';

/** Generous: a guard against hanging, not a measurement. */
const guardMs = 30_000;

const { app, authority, lines, metrics } = testServer();
const path = pathOf('validate', 'KollectInventory');
const body = JSON.stringify(reviewOf(objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'pg' }] })));

t.before(() => app.listen({ port: 0, host: 'localhost' }));
t.teardown(() => app.close());

function dial(): Socket {
  return connect({ port: port(), host: 'localhost', ca: authority.certificate });
}

function port(): number {
  return (app.server.address() as AddressInfo).port;
}

/** Sends bytes as they are and gives the status codes of all that comes back until the server closes the connection. */
function exchange(parts: readonly (string | Buffer)[], socket = dial()): Promise<{ codes: number[]; text: string }> {
  return new Promise((resolve, reject) => {
    const guard = setTimeout(() => reject(new Error(`still connected after ${parts.join('').slice(0, 200)}`)), guardMs);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(guard);
      resolve({ codes: [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => Number(code)), text });
    });
    const send = async () => {
      for (const part of parts) {
        socket.write(part);
        if (parts.length > 1) await sleep(20);
      }
    };
    socket.once('secureConnect', () => void send());
    if (!('encrypted' in socket)) socket.once('connect', () => void send());
  });
}

interface Shape {
  method?: string;
  version?: string;
  headers?: readonly string[];
  /** Replaces the length of the body; null leaves the header out. */
  length?: number | string | null;
  body?: string | Buffer;
  keep?: boolean;
}

/** A request, right unless said otherwise. */
function request({ method = 'POST', version = '1.1', headers = [], body: content = body, length = Buffer.byteLength(content), keep = false }: Shape = {}): Buffer {
  const all = ['Host: localhost', 'Content-Type: application/json', ...(length === null ? [] : [`Content-Length: ${length}`]), ...(keep ? [] : ['Connection: close']), ...headers];
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/${version}\r\n${all.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(content)]);
}

function chunked(...parts: string[]): string {
  return `${parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('')}0\r\n`;
}

const asChunks = { length: null, headers: ['Transfer-Encoding: chunked'] };

t.test('requests in every legal shape are answered', async (t) => {
  const half = body.length / 2;
  const cases: [string, (string | Buffer)[], number[]][] = [
    ['as the API server sends them', [request()], [200]],
    ['HTTP/1.0', [request({ version: '1.0' })], [200]],
    ['several on one connection, sent at once', [Buffer.concat([request({ keep: true }), request({ keep: true }), request()])], [200, 200, 200]],
    ['in pieces', [request().subarray(0, 30), request().subarray(30, 200), request().subarray(200)], [200]],
    ['in chunks, with a trailer', [request({ ...asChunks, headers: ['Transfer-Encoding: chunked', 'Trailer: X-Sum'], body: `${chunked(body.slice(0, half), body.slice(half))}X-Sum: 1\r\n\r\n` })], [200]],
    ['after an invitation', [request({ headers: ['Expect: 100-continue'] }).subarray(0, -body.length), body], [100, 200]],
    ['wanting another protocol', [request({ headers: ['Upgrade: h2c'] })], [200]],
    ['with a charset', [request({ body: JSON.stringify(reviewOf(objectOf('KollectInventory', {}), { name: 'ü' })) })], [200]],
  ];
  for (const [what, parts, expected] of cases) {
    const { codes, text } = await exchange(parts);
    t.same(codes, expected, what);
    t.match(text, /"allowed":true/, what);
  }
});

t.test('requests that two servers could read differently are refused, and their connection is closed', async (t) => {
  const smuggled = request();
  const cases: [string, Buffer | string][] = [
    ['length and chunks', request({ headers: ['Transfer-Encoding: chunked'], body: '0\r\n\r\n', keep: true })],
    ['two lengths', request({ headers: ['Content-Length: 5'] })],
    ['the same length twice', request({ headers: [`Content-Length: ${body.length}`] })],
    ['a length below zero', request({ length: -1 })],
    ['a length with a sign', request({ length: `+${body.length}` })],
    ['a length beyond numbers', request({ length: '9'.repeat(30) })],
    ['a length that is too short', request({ length: body.length - 1, keep: true })],
    ['a coding that nobody knows', request({ length: null, headers: ['Transfer-Encoding: identity'] })],
    ['two codings', request({ length: null, headers: ['Transfer-Encoding: chunked, identity'], body: `${chunked(body)}\r\n` })],
    ['a space before the colon', request({ length: null, headers: ['Transfer-Encoding : chunked'], body: `${chunked(body)}\r\n` })],
    ['a folded header', request({ headers: ['X-A: a\r\n b'] })],
    ['a header with NUL', request({ headers: ['X-A: a\0b'] })],
    ['lines without CR', request().toString().replaceAll('\r\n', '\n')],
    ['a chunk without a size', request({ ...asChunks, body: `zz\r\n${body}\r\n0\r\n\r\n` })],
    ['a chunk with a long extension', request({ ...asChunks, body: `5;${'x'.repeat(20_000)}\r\n` })],
    ['no host', request().toString().replace('Host: localhost\r\n', '')],
    ['HTTP/2 by prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['an unknown method', request({ method: 'FOO' })],
  ];
  for (const [what, bytes] of cases) t.same((await exchange([Buffer.concat([Buffer.from(bytes), smuggled])])).codes.slice(0, 2), [400], what);
  t.same((await exchange([request({ headers: [`X-Long: ${'a'.repeat(20_000)}`] })])).codes, [431], 'a header that is too long');
  t.same((await exchange([request({ headers: Array.from({ length: 3000 }, () => 'X: a') })])).codes, [431], 'too many headers');
  t.same((await exchange([request({ headers: ['Expect: something'] })])).codes, [417], 'another expectation');
  t.same((await exchange([request({ method: 'TRACE' })])).codes, [405], 'TRACE');
  t.same((await exchange(['CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n'])).codes, [], 'no proxy');
  t.same((await exchange([request({ body: '', length: 8 * 1024 * 1024, keep: true })])).codes, [413], 'a body that is too large is refused before it comes');
  const large = 'x'.repeat(1024 * 1024);
  t.same((await exchange([request({ ...asChunks, keep: true, body: chunked(...Array.from({ length: 8 }, () => large)) })])).codes, [413], 'in chunks, once it is');
});

t.test('whoever speaks no TLS gets nothing', async (t) => {
  for (const bytes of [request(), Buffer.alloc(2000, 7), Buffer.from('SSH-2.0-x\r\n')]) t.same((await exchange([bytes], connectTcp(port(), 'localhost'))).text, '');
});

t.test('bodies that are hard to parse are refused or judged', async (t) => {
  const review = (inner: string) => body.replace('"spec":{', `"spec":{${inner},`);
  const uid = JSON.parse(body).request.uid as string;
  const cases: [string, Buffer | string, number][] = [
    ['a hundred thousand brackets', '['.repeat(100_000), 400],
    ['a hundred thousand brackets that close', '['.repeat(100_000) + ']'.repeat(100_000), 400],
    ['the same inside an object', review(`"x":${'['.repeat(100_000)}${']'.repeat(100_000)}`), 200],
    ['objects in objects', review(`"x":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`), 200],
    ['a million values', review(`"x":[${'1,'.repeat(1_000_000)}1]`), 200],
    ['a hundred thousand keys', review(`"x":{${Array.from({ length: 100_000 }, (_, index) => `"k${index}":1`).join()}}`), 200],
    ['a key many times', review('"suspend":true,"suspend":false'), 200],
    ['a long number', review(`"x":${'9'.repeat(1_000_000)}`), 200],
    ['an escape without end', review('"x":"\\u00'), 400],
    ['half a surrogate', review('"x":"\\ud800"'), 200],
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from(body.slice(0, -3)), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), Buffer.from(body.slice(-3))]), 400],
    ['such bytes in a text', Buffer.from(review('"x":"\xff\xfe"'), 'latin1'), 200],
    ['a byte order mark', `\ufeff${body}`, 200],
    ['a uid of a megabyte', body.replace(uid, 'u'.repeat(1024 * 1024)), 200],
    ['a million spaces', `${' '.repeat(1_000_000)}${body}`, 200],
    ['a comment', `/**/${body}`, 400],
    ['two values', `${body}${body}`, 400],
    ['NUL', '\0', 400],
    ['nothing', '', 400],
  ];
  for (const [what, content, code] of cases) {
    const { codes, text } = await exchange([request({ body: content })]);
    t.same(codes, [code], what);
    if (code === 200) t.match(text, /"uid":"(705ab4f5-6393-11e8-b7cc-42010a800002|u{1000})/, what);
  }
  t.equal((await exchange([request({ body: '<review/>' }).toString().replace('application/json', 'text/xml')])).codes[0], 415);
  t.same(lines.filter(({ level }) => level === 'error'), []);
});

t.test('keys of the prototype are keys like any other, at any depth', async (t) => {
  const poisons = ['"__proto__":{"polluted":1}', '"constructor":{"prototype":{"polluted":1}}', '"prototype":{"polluted":1}', '"\\u005f_proto__":{"polluted":1}', '"hasOwnProperty":1', '"toString":null', '"valueOf":{}', '"toJSON":1', '"then":{}', '"length":-1'];
  for (const poison of poisons) {
    const places = body.split('{').length - 1;
    for (let place = 0; place < places; place++) {
      let seen = -1;
      const poisoned = body.replaceAll('{', () => (++seen === place ? `{${poison},` : '{')).replaceAll(',}', '}');
      const { codes, text } = await exchange([request({ body: poisoned })]);
      t.same(codes, [200], `${poison} at ${place}`);
      t.match(text, /"uid":"705ab4f5/);
    }
  }
  t.equal(({} as { polluted?: number }).polluted, undefined);
  t.same(lines.filter(({ level }) => level === 'error'), []);
});

t.test('a flood of connections is bounded, and over when it ends', { timeout: guardMs * 4 }, async (t) => {
  const limit = app.server.maxConnections;
  t.ok(limit > 100);
  app.server.maxConnections = 20;
  const flood = Array.from({ length: 60 }, dial);
  let closed = 0;
  for (const socket of flood) {
    socket.on('error', () => {});
    socket.on('close', () => closed++);
  }
  await eventually(() => closed >= 40);
  const open = flood.find((socket) => !socket.destroyed);
  t.ok(open !== undefined, 'those before it stay');
  t.same((await exchange([request()])).codes, [], 'no further one meanwhile');
  t.match(await metrics.registry.metrics(), /kollect_webhook_refused_connections_total 4\d/);
  for (const socket of flood) socket.destroy();
  await eventually(async () => (await exchange([request()])).codes[0] === 200);
  app.server.maxConnections = limit;
});

t.test('a client that takes no answers is cut off or not read from any more, and others are served meanwhile', async (t) => {
  const stalled = dial();
  stalled.on('error', () => {});
  await once(stalled, 'secureConnect');
  stalled.pause();
  // A denial is long, so answers fill what the kernel holds, and the server has to let go of the client.
  const denied = JSON.stringify(reviewOf(objectOf('KollectProfile', { attributes: Array.from({ length: 100 }, () => ({ name: '', path: 'x'.repeat(100) })) })));
  const wave = Buffer.concat(Array.from({ length: 100 }, () => request({ body: denied, keep: true })));
  const answered = async (): Promise<number> => [...(await metrics.registry.metrics()).matchAll(/^kollect_admission_requests_total\{.*code="422"\} (\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  const before = await answered();
  let [sent, last, quiet, lastMoved] = [0, before, 0, performance.now()];
  // The client has more to send than goes out, others are answered again and again, and this one is not: the server has not merely been slow.
  while (last === before || quiet < 20 || performance.now() - lastMoved < 1_000) {
    if (!stalled.destroyed && stalled.writableLength < wave.length) {
      stalled.write(wave);
      sent += 100;
      quiet = -1;
    }
    t.same((await exchange([request()])).codes, [200]);
    const now = await answered();
    quiet = now === last ? quiet + 1 : 0;
    if (quiet === 0) lastMoved = performance.now();
    last = now;
    if (sent > 3_000) throw new Error('the server takes requests without end');
  }
  t.ok(stalled.destroyed || stalled.writableLength > 0, 'the server takes no more of its requests');
  t.ok(last > before && last - before < sent, `${last - before} of ${sent} requests are answered`);
  stalled.destroy();
});

t.test('a connection is cut when nothing of what waits for its client is taken, and only then', async (t) => {
  const authority = createAuthority('test authority');
  const { certificate: cert, key } = issueCertificate(authority, { hosts: ['localhost'] });
  const server = createServer({ cert, key });
  cutOffStalledClients(server, 1_200);
  const accepted: TLSSocket[] = [];
  server.on('secureConnection', (socket) => accepted.push(socket.on('error', () => {})));
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const reach = async (): Promise<TLSSocket> => {
    const socket = connect({ port: (server.address() as AddressInfo).port, host: 'localhost', ca: authority.certificate });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  };
  const clients = [await reach(), await reach(), await reach()] as const;
  await eventually(() => accepted.length === clients.length);
  const [stalled, busy, idle] = accepted as [TLSSocket, TLSSocket, TLSSocket];
  // More than the kernel takes for a client.
  stalled.write(Buffer.alloc(64 * 1024 * 1024));
  let taken = 0;
  clients[1].on('data', (chunk: Buffer) => (taken += chunk.length));
  const answering = setInterval(() => busy.write(Buffer.alloc(64 * 1024)), 20);
  await once(stalled, 'close');
  clearInterval(answering);
  t.same([busy.destroyed, idle.destroyed, taken > 64 * 1024], [false, false, true]);
  for (const client of clients) client.destroy();
  server.close();
});

t.test('clients that leave before they are answered take nothing with them', async (t) => {
  const waiting = Promise.withResolvers<{ uid: string; allowed: boolean }>();
  let calls = 0;
  const slow = testServer({}, { review: () => (calls++, waiting.promise) });
  t.teardown(() => slow.app.close());
  await slow.app.listen({ port: 0, host: 'localhost' });
  const slowPort = (slow.app.server.address() as AddressInfo).port;
  const reach = () => connect({ port: slowPort, host: 'localhost', ca: slow.authority.certificate });
  const leaving = Array.from({ length: 10 }, reach);
  for (const socket of leaving) socket.on('error', () => {}).once('secureConnect', () => socket.write(request()));
  const half = reach().on('error', () => {});
  half.once('secureConnect', () => half.write(request().subarray(0, -10)));
  await eventually(() => calls === leaving.length);
  for (const socket of [...leaving, half]) socket.destroy();
  await eventually(async () => (await new Promise<number>((resolve) => slow.app.server.getConnections((_, count) => resolve(count)))) === 0);
  waiting.resolve({ uid: 'u', allowed: true });
  t.same((await exchange([request()], reach())).codes, [200]);
});

t.test('after all this the server answers as at the start', async (t) => {
  t.match((await exchange([request()])).text, /"allowed":true/);
  t.equal(await new Promise((resolve) => app.server.getConnections((_, count) => resolve(count))).then((count) => (count as number) < 5), true, 'no connection is left behind');
});
