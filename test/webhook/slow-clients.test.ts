import { Agent } from 'node:https';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import t from 'tap';
import { objectOf } from '../admission/objects.ts';
import { pathOf, post, reviewOf, testServer } from './harness.ts';

/** The limit is 15 s, looked at every 5 s; the rest is for a loaded machine. */
const guardMs = 60_000;

t.test('clients that trickle are cut off, idle ones are not, and others are served meanwhile', { timeout: guardMs * 2 }, async (t) => {
  const { app, authority } = testServer();
  t.teardown(() => app.close());
  await app.listen({ port: 0, host: 'localhost' });
  let connections = 0;
  app.server.on('secureConnection', () => connections++);
  const address = app.server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const ca = authority.certificate;
  const path = pathOf('validate', 'KollectInventory');
  const body = JSON.stringify(reviewOf(objectOf('KollectInventory', {})));

  const trickle = (socket: Socket, opening: string) =>
    new Promise<string>((resolve, reject) => {
      let answer = '';
      const drip = setInterval(() => socket.write('x'), 300);
      const guard = setTimeout(() => reject(new Error('still connected')), guardMs);
      socket.on('secureConnect', () => socket.write(opening));
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      socket.on('error', () => {});
      socket.on('close', () => {
        clearInterval(drip);
        clearTimeout(guard);
        resolve(answer);
      });
    });
  const dial = () => connect({ port, host: 'localhost', ca });
  const slowBody = trickle(dial(), `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n`);
  const slowHeaders = trickle(dial(), `POST ${path} HTTP/1.1\r\nHost: localhost\r\nX-Slow: `);
  const noHandshake = trickle(connectTcp(port, 'localhost'), '');

  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const call = () => post({ port, path, body, agent, ca });
  t.equal((await call()).status, 200, 'before');
  t.match(await slowBody, /^HTTP\/1\.1 408 /);
  t.match(await slowHeaders, /^HTTP\/1\.1 408 /);
  await noHandshake;
  t.equal((await call()).status, 200, 'on the same connection, idle for longer than a request may take');
  t.equal(connections, 3, 'one for each that trickled after its handshake, and one for both calls');
});
