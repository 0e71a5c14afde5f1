import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { KeptProcess } from './keeper.ts';

export interface ReadyOptions {
  name: string;
  /** Resolves with true once the server answers. Rejections count as "not yet". */
  check: () => Promise<boolean>;
  /** A guard against hanging: 120 s by default, for a machine under load. */
  timeoutMs?: number;
}

/** Waits until a server answers. Rejects with the end of its log when it exits or the time is up. */
export async function untilReady(server: KeptProcess, options: ReadyOptions): Promise<void> {
  const { name, check, timeoutMs = 120_000 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const exit = server.exit();
    if (exit !== undefined) throw new Error(`${name} exited with ${exit.signal ?? `code ${exit.code}`} before it was ready:\n${server.logs(15)}`);
    if (await check().catch(() => false)) return;
    if (performance.now() > deadline) throw new Error(`${name} was not ready within ${timeoutMs / 1000} s:\n${server.logs(15)}`);
    await pause(25);
  }
}

/** Whether `GET url` answers 200. `ca` is a PEM certificate for https; without one the certificate is not verified. */
export function answersOk(url: string, options: { headers?: Record<string, string>; ca?: string | undefined } = {}): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const { headers = {}, ca } = options;
    const done = (status: number | undefined) => resolve(status === 200);
    const call = url.startsWith('https:')
      ? request(url, { headers, agent: false, ...(ca === undefined ? { rejectUnauthorized: false } : { ca }) }, (response) => done(response.resume().statusCode))
      : plainRequest(url, { headers, agent: false }, (response) => done(response.resume().statusCode));
    call.setTimeout(5_000, () => call.destroy(new Error('no answer within 5 s')));
    call.once('error', reject);
    call.end();
  });
}

/** Whether something takes connections on a port of 127.0.0.1. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
