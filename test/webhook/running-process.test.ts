import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import t from 'tap';
import type { Test } from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { installCrds } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { freePort } from '../servers/free-port.ts';
import { listenOnAll } from '../../webhook/listen.ts';
import { objectOf } from '../admission/objects.ts';
import { startBalancer } from './balancer.ts';
import { certificateDirectory, pathOf, post, reviewOf } from './harness.ts';

const main = join(import.meta.dirname, '../../webhook/main.ts');
/** Generous: a guard against hanging, not a measurement. */
const guardMs = 30_000;

const cluster = await startCluster();
t.teardown(() => cluster.stop());
await installCrds(cluster.kubectl);

interface Line {
  level: string;
  msg: string;
  port?: number;
  healthPort?: number;
  metricsPort?: number;
  error?: unknown;
}

function start(test: Test, certificates: ReturnType<typeof certificateDirectory>, ...more: string[]) {
  const child = spawn(process.execPath, [main, '--port=0', `--cert-path=${certificates.directory}`, '--health-probe-bind-address=127.0.0.1:0', '--metrics-bind-address=127.0.0.1:0', ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, KUBERNETES_SERVICE_HOST: '', KUBECONFIG: cluster.kubeconfig },
  });
  const lines: Line[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(JSON.parse(line) as Line);
    for (const wake of waiting) wake();
  });
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  test.teardown(async () => {
    child.kill('SIGKILL');
    await exit;
    certificates.remove();
  });
  const line = async (message: string): Promise<Line> => {
    const deadline = Date.now() + guardMs;
    for (;;) {
      const found = lines.find(({ msg }) => msg === message);
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`no line "${message}" among ${JSON.stringify(lines)}`);
      await new Promise<void>((resolve) => {
        waiting.add(resolve);
        setTimeout(resolve, 200).unref();
      });
    }
  };
  return { child, lines, line, exit };
}

const body = JSON.stringify(reviewOf(objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'pg' }] })));
const path = pathOf('validate', 'KollectInventory');

function served(port: number, ca: string): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: 'localhost', servername: 'localhost', ca, ALPNProtocols: ['h2', 'http/1.1'] }, () => {
      const certificate = new X509Certificate(socket.getPeerCertificate().raw);
      socket.destroy();
      resolve(certificate);
    });
    socket.on('error', reject);
  });
}

/** Calls over and over on several connections until told to stop; a failed call is an error that the test sees. */
function load(port: number, ca: string, options: { connections: number; keepAlive: boolean }) {
  const agent = new Agent({ keepAlive: options.keepAlive, maxSockets: options.connections });
  const failures: string[] = [];
  let calls = 0;
  let running = true;
  const workers = Array.from({ length: options.connections }, async () => {
    while (running) {
      try {
        const { status, body: text } = await post({ port, path, body, agent, ca });
        calls++;
        if (status !== 200 || !text.includes('"allowed":true')) failures.push(`${status} ${text}`);
      } catch (error) {
        failures.push(String(error));
      }
      await sleep(2);
    }
  });
  return {
    calls: () => calls,
    failures,
    stop: async () => {
      running = false;
      await Promise.all(workers);
      agent.destroy();
    },
  };
}

async function refused(metricsPort: number | undefined): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return Number(/kollect_webhook_cert_reloads_total\{result="refused"\} (\d+)/.exec(text)?.[1] ?? 0);
}

t.test('a renewed certificate is served without a failed call, and a broken one never', async (t) => {
  const certificates = certificateDirectory();
  const { directory, authority } = certificates;
  const { line, lines } = start(t, certificates);
  const { port = 0, metricsPort } = await line('serving');
  const ca = authority.certificate;
  const kept = load(port, ca, { connections: 4, keepAlive: true });
  const fresh = load(port, ca, { connections: 2, keepAlive: false });

  const before = await served(port, ca);
  // Half a renewal: a certificate whose key is not there yet.
  const next = issueCertificate(authority, { hosts: ['localhost'] });
  writeFileSync(join(directory, 'tls.crt'), next.certificate);
  await line('the new certificate cannot be used, the one before stays in service');
  t.equal((await served(port, ca)).serialNumber, before.serialNumber, 'half a pair is not served');
  writeFileSync(join(directory, 'tls.key'), next.key);
  await line('serving a new certificate');
  t.equal((await served(port, ca)).serialNumber, new X509Certificate(next.certificate).serialNumber);

  // Each is refused for another reason than the one before: the same is said once.
  for (const nonsense of ['', createAuthority('other').certificate, 'not PEM']) {
    const before = await refused(metricsPort);
    writeFileSync(join(directory, 'tls.crt'), nonsense);
    await eventually(async () => (await refused(metricsPort)) > before, { what: 'a refused certificate' });
    t.equal((await served(port, ca)).serialNumber, new X509Certificate(next.certificate).serialNumber, 'nonsense is not served');
  }

  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  t.match(text, new RegExp(`kollect_webhook_cert_expiry_seconds ${new Date(new X509Certificate(next.certificate).validTo).getTime() / 1000}`));

  await eventually(() => kept.calls() > 20 && fresh.calls() > 10, { what: 'calls' });
  await kept.stop();
  await fresh.stop();
  t.same(kept.failures.concat(fresh.failures), []);
  t.notMatch(JSON.stringify(lines), /PRIVATE KEY/);
});

t.test('a mounted Secret is replaced by swapping a link, again and again, without a failed call', async (t) => {
  const certificates = certificateDirectory();
  const { directory, authority } = certificates;
  // As kubelet lays it out: files link to ..data, ..data to a dated directory.
  const lay = (name: string, pair: { certificate: string; key: string }) => {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'tls.crt'), pair.certificate);
    writeFileSync(join(directory, name, 'tls.key'), pair.key);
  };
  lay('..1', issueCertificate(authority, { hosts: ['localhost'] }));
  symlinkSync('..1', join(directory, '..data'));
  for (const file of ['tls.crt', 'tls.key']) {
    rmSync(join(directory, file));
    symlinkSync(join('..data', file), join(directory, file));
  }
  const { line } = start(t, certificates);
  const { port = 0 } = await line('serving');
  const ca = authority.certificate;
  const loads = [load(port, ca, { connections: 4, keepAlive: true }), load(port, ca, { connections: 4, keepAlive: false })];
  for (const name of ['..2', '..3', '..4']) {
    const next = issueCertificate(authority, { hosts: ['localhost'] });
    lay(name, next);
    symlinkSync(name, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    const serial = new X509Certificate(next.certificate).serialNumber;
    await eventually(async () => (await served(port, ca)).serialNumber === serial);
    const calls = loads.map((each) => each.calls());
    await eventually(() => loads.every((each, index) => each.calls() > (calls[index] ?? 0)), { what: 'calls after the renewal' });
  }
  for (const each of loads) await each.stop();
  t.same(loads.flatMap(({ failures }) => failures), []);
});

t.test('both of two replicas are replaced under load without a failed call', { timeout: guardMs * 4 }, async (t) => {
  const certificates = certificateDirectory();
  const ca = certificates.authority.certificate;
  const balancer = await startBalancer();
  t.teardown(() => balancer.stop());
  const join = async () => {
    // Longer than the balancer takes to notice, as the delay of a pod is longer than its endpoints need.
    const process = start(t, certificates, '--shutdown-delay=2s');
    const { port = 0, healthPort = 0 } = await process.line('serving');
    const replica = { port, healthPort };
    balancer.add(replica);
    await eventually(() => balancer.leadsTo(replica), { what: 'a ready replica' });
    return { ...process, replica };
  };
  const old = [await join(), await join()];
  const loads = [load(balancer.port, ca, { connections: 4, keepAlive: true }), load(balancer.port, ca, { connections: 4, keepAlive: false })];
  for (const { child, exit, replica } of old) {
    const next = await join();
    child.kill('SIGTERM');
    await eventually(() => !balancer.leadsTo(replica));
    t.same(await exit, [0, null]);
    balancer.remove(replica);
    const calls = loads.map((each) => each.calls());
    await eventually(() => loads.every((each, index) => each.calls() > (calls[index] ?? 0) + 10), { what: 'calls without the replica that left' });
    t.ok(balancer.leadsTo(next.replica));
  }
  for (const each of loads) await each.stop();
  t.same(loads.flatMap(({ failures }) => failures), []);
});

t.test('SIGTERM: not ready at once, still serving for a while, requests under way are answered, exit 0', async (t) => {
  const certificates = certificateDirectory();
  const ca = certificates.authority.certificate;
  const { child, line, exit } = start(t, certificates, '--shutdown-delay=1s');
  const { port = 0, healthPort } = await line('serving');
  await line('ready');
  const health = `http://127.0.0.1:${healthPort}`;
  t.equal((await fetch(`${health}/readyz`)).status, 200);
  t.equal((await fetch(`${health}/healthz`)).status, 200);
  t.equal((await fetch(`${health}/other`)).status, 404);

  const calls = load(port, ca, { connections: 3, keepAlive: true });
  // A request that is half sent when the signal comes, and completed after the server closed its port.
  const slow = connect({ port, host: 'localhost', ca });
  await once(slow, 'secureConnect');
  const half = Math.floor(body.length / 2);
  slow.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, half)}`);

  child.kill('SIGTERM');
  await line('stopping');
  const notReady = await fetch(`${health}/readyz`);
  t.equal(notReady.status, 503);
  t.equal(await notReady.text(), 'stopping');
  t.equal((await fetch(`${health}/healthz`)).status, 200, 'alive all the same');
  const agent = new Agent();
  const late = await post({ port, path, body, agent, ca });
  agent.destroy();
  t.equal(late.status, 200, 'a late request is served');
  t.equal(late.connection, 'close', 'and its connection not kept');
  await calls.stop();
  t.same(calls.failures, []);

  await sleep(1500);
  let answer = '';
  slow.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  slow.write(body.slice(half));
  await once(slow, 'end');
  t.match(answer, /^HTTP\/1\.1 200 /);
  t.match(answer, /"allowed":true/);
  t.same(await exit, [0, null]);
});

t.test('HTTP/1.1 and TLS 1.2 are the least and the most', async (t) => {
  const certificates = certificateDirectory();
  const ca = certificates.authority.certificate;
  const { line } = start(t, certificates);
  const { port = 0 } = await line('serving');
  const handshake = (options: object) =>
    new Promise<string>((resolve) => {
      const socket = connect({ port, host: 'localhost', ca, ...options }, () => {
        resolve(`${socket.getProtocol()} ${String(socket.alpnProtocol)}`);
        socket.destroy();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    });
  t.equal(await handshake({ ALPNProtocols: ['h2', 'http/1.1'] }), 'TLSv1.3 http/1.1');
  t.equal(await handshake({ maxVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] }), 'TLSv1.2 http/1.1');
  t.match(await handshake({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }), /^ERR_SSL|^ECONNRESET/);
});

t.test('a process that cannot serve says why and exits', async (t) => {
  const certificates = certificateDirectory();
  t.teardown(() => certificates.remove());
  const run = async (environment: Record<string, string>, ...argv: string[]) => {
    const child = spawn(process.execPath, [main, ...argv], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, KUBERNETES_SERVICE_HOST: '', KUBECONFIG: cluster.kubeconfig, ...environment } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, output };
  };
  const inCluster = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
  t.match(await run({}, '--version'), { code: 0, output: /^dev \(commit unknown, built unknown\)\n$/ });
  t.match(await run({}, '--help'), { code: 0, output: /--shutdown-delay <duration>/ });
  t.match(await run({}, '--prot=1'), { code: 2, output: /unknown flag --prot, did you mean --port\?/ });
  t.match(await run({}, '--health-probe-bind-address=8081'), { code: 2, output: /write :8081/ });
  t.match(await run({}, '--map-host=nonsense'), { code: 2, output: /name:port=address:port/ });
  t.match(await run(inCluster, '--allow-loopback-sinks'), { code: 2, output: /--allow-loopback-sinks: for development outside a cluster/ });
  t.match(await run(inCluster, '--map-host=a:1=127.0.0.1:2'), { code: 2, output: /--map-host/ });
  t.match(await run({}, '--watch-namespaces=team-a,Team_B'), { code: 2, output: /"Team_B" is not the name of a namespace/ });
  t.match(await run({ KUBECONFIG: '', HOME: '/nowhere' }), { code: 1, output: /cannot serve.*\/nowhere\/\.kube\/config/ });
  const taken = createServer();
  taken.listen(0);
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  t.match(await run({}, `--cert-path=${certificates.directory}`, `--port=${port}`, '--health-probe-bind-address=0'), { code: 1, output: new RegExp(`cannot serve.*EADDRINUSE.*address already in use.*${port}`) });
  t.match(await run({}, `--cert-path=${certificates.directory}`, '--port=0', `--health-probe-bind-address=:${port}`), { code: 1, output: /cannot serve.*EADDRINUSE/ });
});

t.test('a process that starts before its certificate is not ready, says once why, and serves when it comes', async (t) => {
  const certificates = certificateDirectory();
  const { directory, authority } = certificates;
  for (const file of ['tls.crt', 'tls.key']) rmSync(join(directory, file));
  const healthPort = await freePort();
  const { line, lines } = start(t, certificates, `--health-probe-bind-address=127.0.0.1:${healthPort}`);
  const waiting = 'waiting for a certificate that can be served';
  await line(waiting);
  t.equal((await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status, 503);
  t.equal((await fetch(`http://127.0.0.1:${healthPort}/healthz`)).status, 200, 'alive: a restart would not help');
  const pair = issueCertificate(authority, { hosts: ['localhost'] });
  writeFileSync(join(directory, 'tls.key'), createAuthority('other').key.export({ format: 'pem', type: 'pkcs8' }));
  writeFileSync(join(directory, 'tls.crt'), pair.certificate);
  await eventually(() => lines.some(({ error }) => JSON.stringify(error)?.includes('tls.key is not the key of tls.crt')));
  await sleep(1200);
  t.equal((await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status, 503);
  writeFileSync(join(directory, 'tls.key'), pair.key);
  const { port = 0 } = await line('serving');
  t.equal((await served(port, authority.certificate)).serialNumber, new X509Certificate(pair.certificate).serialNumber);
  await line('ready');
  t.equal((await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status, 200);
  const problems = lines.filter(({ msg }) => msg === waiting).map(({ error }) => JSON.stringify(error));
  t.same(problems, [...new Set(problems)], 'each problem is said once');
  t.notMatch(JSON.stringify(lines), /PRIVATE KEY/);
});

t.test('a process that is told to stop while it waits for its certificate ends', async (t) => {
  const certificates = certificateDirectory();
  rmSync(join(certificates.directory, 'tls.key'));
  const { child, line, exit } = start(t, certificates);
  await line('waiting for a certificate that can be served');
  child.kill('SIGTERM');
  t.same(await exit, [0, null]);
});

t.test('clients are asked for a certificate where an authority of theirs is named', async (t) => {
  const certificates = certificateDirectory();
  const { directory, authority } = certificates;
  const clients = createAuthority('clients');
  const file = join(directory, 'clients.crt');
  writeFileSync(file, clients.certificate);
  const { line, lines } = start(t, certificates, `--client-ca-path=${file}`);
  const { port = 0 } = await line('serving');
  const call = async (pair?: { certificate: string; key: string }) => {
    const agent = new Agent(pair === undefined ? {} : { cert: pair.certificate, key: pair.key });
    try {
      return (await post({ port, path, body, agent, ca: authority.certificate })).status;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'refused';
    } finally {
      agent.destroy();
    }
  };
  const apiServer = issueCertificate(clients, { hosts: ['apiserver'], usage: 'client' });
  t.equal(await call(apiServer), 200);
  t.match(await call(), /ERR_SSL|ECONNRESET|EPIPE/, 'without a certificate');
  t.match(await call(issueCertificate(createAuthority('clients'), { hosts: ['apiserver'], usage: 'client' })), /ERR_SSL|ECONNRESET|EPIPE/, 'of another authority with the same name');
  t.match(await call(issueCertificate(clients, { hosts: ['apiserver'] })), /ERR_SSL|ECONNRESET|EPIPE/, 'a certificate for servers');

  // The pair is renewed, and the authority of the clients with it: one is kept when the other changes.
  const next = createAuthority('next clients');
  writeFileSync(file, next.certificate);
  certificates.write();
  await line('serving a new certificate');
  await eventually(async () => (await call(issueCertificate(next, { hosts: ['apiserver'], usage: 'client' }))) === 200);
  t.match(await call(apiServer), /ERR_SSL|ECONNRESET|EPIPE/);
  t.match(await call(), /ERR_SSL|ECONNRESET|EPIPE/);
  t.same(lines.filter(({ level }) => level === 'error'), []);
});

t.test('a machine without IPv6 is served on IPv4', async (t) => {
  const attempts: string[] = [];
  const listen = (code: string) => ({ listen: async ({ host }: { host?: string }) => {
    attempts.push(`${code} ${host}`);
    if (host === '::') throw Object.assign(new Error(code), { code });
    return '';
  } });
  for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL']) await listenOnAll(listen(code) as never, 1);
  await t.rejects(listenOnAll(listen('EADDRINUSE') as never, 1), { code: 'EADDRINUSE' });
  t.same(attempts, ['EAFNOSUPPORT ::', 'EAFNOSUPPORT 0.0.0.0', 'EADDRNOTAVAIL ::', 'EADDRNOTAVAIL 0.0.0.0', 'EADDRINUSE ::']);
});
