import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'nats';
import t from 'tap';
import type { GoBinary } from './binary.ts';
import { cacheFolder, withLock } from './cache.ts';
import { startCluster } from './cluster.ts';
import { etcdBinary } from './etcd/index.ts';
import { eventually } from './eventually.ts';
import { startGit } from './git/index.ts';
import { openKeeper, plainEnvironment } from './keeper.ts';
import { startNats } from './nats/index.ts';
import { ObtainError, obtain } from './obtain.ts';
import { startPostgres } from './postgres/index.ts';
import { runCommand } from './run-command.ts';

/** A process that has ended but was not yet collected by its parent counts as gone. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    // No /proc on this system, or gone since.
    return !existsSync('/proc/self') || existsSync(`/proc/${pid}`);
  }
}

t.test('a cluster serves its users, survives its API server, and leaves nothing behind', async (t) => {
  const cluster = await startCluster({ controllerManager: true, users: [{ name: 'jane', groups: ['readers'] }] });
  t.teardown(() => cluster.stop());

  t.match((await cluster.kubectl(['auth', 'whoami', '-o', 'json'], { kubeconfig: cluster.kubeconfigOf('jane') })).stdout, /"username": "jane"/);
  t.match(await cluster.kubectl(['get', 'secrets'], { kubeconfig: cluster.kubeconfigOf('jane') }), { code: 1, stderr: /Forbidden/ }, 'RBAC is in force');
  t.match(await cluster.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept' } }) }), { code: 0 });
  t.equal((await cluster.kubectl(['create', 'deployment', 'web', '--image=web'])).code, 0);
  await eventually(async () => (await cluster.kubectl(['get', 'pods', '-o', 'name'])).stdout.startsWith('pod/web-'), { what: 'the pod of the Deployment' });

  const before = cluster.apiserver.process().pid;
  await cluster.apiserver.kill();
  t.notOk(isRunning(before));
  t.not((await cluster.kubectl(['get', 'configmap', 'kept', '--request-timeout=1s'])).code, 0, 'the API server is away');
  await cluster.apiserver.start();
  t.equal((await cluster.kubectl(['get', 'configmap', 'kept', '-o', 'name'])).stdout, 'configmap/kept\n', 'its data is still there');

  const pids = [cluster.keeper.pid, cluster.apiserver.process().pid];
  t.same(pids.map(isRunning), [true, true]);
  await cluster.stop();
  await cluster.stop();
  t.same(pids.map(isRunning), [false, false]);
  t.notOk(existsSync(cluster.folder));
});

t.test('PostgreSQL checks passwords, keeps its data through SIGKILL, and leaves nothing behind', async (t) => {
  const postgres = await startPostgres({ settings: { statement_timeout: '20s' } });
  t.teardown(() => postgres.stop());

  const database = await postgres.createDatabase();
  await postgres.query('create table kept (id int primary key)', [], database);
  await postgres.query('insert into kept values ($1)', [7], database);
  t.same(await postgres.query('show statement_timeout'), [{ statement_timeout: '20s' }]);

  await postgres.kill();
  await t.rejects(postgres.query('select 1'), { code: 'ECONNREFUSED' });
  await postgres.restart();
  t.same(await postgres.query('select id from kept', [], database), [{ id: 7 }]);

  const pids = [postgres.keeper.pid, postgres.process().pid];
  await postgres.stop();
  t.same(pids.map(isRunning), [false, false]);
  t.notOk(existsSync(postgres.folder));
});

t.test('NATS keeps streams through SIGKILL for those it knows, and leaves nothing behind', async (t) => {
  const nats = await startNats({ config: () => 'authorization { user: kollect, password: secret }' });
  t.teardown(() => nats.stop());
  const login = { servers: `127.0.0.1:${nats.port}`, reconnect: false, user: 'kollect' };
  await t.rejects(connect({ ...login, pass: 'wrong' }), { code: 'AUTHORIZATION_VIOLATION' });
  const client = await connect({ ...login, pass: 'secret' });
  await (await client.jetstreamManager()).streams.add({ name: 'kept', subjects: ['kept'] });
  await client.jetstream().publish('kept', 'a');

  const before = nats.process().pid;
  await nats.kill();
  await client.closed();
  await t.rejects(connect({ ...login, pass: 'secret' }), { code: 'CONNECTION_REFUSED' });
  await nats.start();
  const again = await connect({ ...login, pass: 'secret' });
  t.match((await (await again.jetstreamManager()).streams.info('kept')).state, { messages: 1 });
  await again.close();

  const pids = [before, nats.keeper.pid, nats.process().pid];
  await nats.stop();
  t.same(pids.map(isRunning), [false, false, false]);
});

t.test('git serves repositories over HTTP, HTTPS and SSH to those it knows, and leaves nothing behind', async (t) => {
  const git = await startGit();
  t.teardown(() => git.stop());
  const repository = await git.createRepository();
  const file = (name: string, text: string) => {
    writeFileSync(join(t.testdirName, name), text, { mode: 0o600 });
    return join(t.testdirName, name);
  };
  t.testdir({});
  const ssh = (key: string, hosts: string) => `ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=${file('hosts', hosts)} -i ${file('key', key)}`;
  const environment = { ...plainEnvironment(), LC_ALL: 'C', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0', GIT_SSL_CAINFO: file('ca', git.caPem), HOME: t.testdirName };
  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => runCommand('git', args, { cwd: t.testdirName, env: { ...environment, ...env } });
  const withPassword = (url: string, password = git.password) => url.replace('://', `://${git.user}:${password}@`);

  const commit = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', 'commit', '--quiet', '--allow-empty', '-m'];
  t.match(await run(['clone', '--quiet', withPassword(repository.httpUrl), 'one']), { code: 0 });
  const other = { GIT_SSH_COMMAND: ssh(git.sshKey, git.knownHosts) };
  t.match(await run(['clone', '--quiet', repository.sshUrl, 'two'], other), { code: 0 });
  t.match(await run(['-C', 'one', ...commit, 'first']), { code: 0 });
  t.match(await run(['-C', 'one', 'push', '--quiet', 'origin', 'HEAD:main']), { code: 0 });
  t.match(await run(['-C', 'two', ...commit, 'second']), { code: 0 });
  t.match(await run(['-C', 'two', 'push', '--quiet', 'origin', 'HEAD:main'], other), { code: 1, stderr: /fetch first/ });
  t.match(await run(['-C', 'two', 'push', '--quiet', '--force', 'origin', 'HEAD:main'], other), { code: 0 });
  t.equal(await repository.git('log', '--format=%s', 'main'), 'second\n');
  t.equal(repository.pushes(), 2);
  t.match(await run(['ls-remote', withPassword(repository.httpsUrl)]), { code: 0, stdout: /refs\/heads\/main/ });

  repository.decline('not on Fridays');
  t.match(await run(['-C', 'one', 'push', '--force', 'origin', 'HEAD:main']), { code: 1, stderr: /not on Fridays[^]*pre-receive hook declined/ });
  repository.decline(undefined);
  for (const url of [withPassword(repository.httpUrl), repository.sshUrl]) {
    repository.loseAnswer('cut');
    t.not((await run(['-C', 'one', 'push', '--force', url, 'HEAD:main'], other)).code, 0);
    t.equal(await repository.git('log', '--format=%s', 'main'), 'first\n', 'it arrived all the same');
    t.match(await run(['-C', 'two', 'push', '--force', url, 'HEAD:main'], other), { code: 0 });
  }

  t.match(await run(['ls-remote', withPassword(repository.httpUrl, 'wrong')]), { code: 128, stderr: /Authentication failed/ });
  t.match(await run(['ls-remote', repository.httpUrl]), { code: 128, stderr: /terminal prompts disabled/ });
  t.match(await run(['ls-remote', repository.sshUrl], { GIT_SSH_COMMAND: ssh(git.otherSshKey, git.knownHosts) }), { code: 128, stderr: /Permission denied/ });
  t.match(await run(['ls-remote', repository.sshUrl], { GIT_SSH_COMMAND: ssh(git.sshKey, git.wrongKnownHosts) }), { code: 128, stderr: /Host key verification failed/ });

  const pids = [git.keeper.pid, git.sshd.pid];
  await git.stop();
  t.same(pids.map(isRunning), [false, false]);
  t.notOk(existsSync(git.folder));
});

t.test('a test killed by SIGKILL leaves nothing behind', async (t) => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures', 'start-and-wait.ts')], { env: plainEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const line = await firstLine(child.stdout);
  const { pids, folders } = JSON.parse(line) as { pids: number[]; folders: string[] };
  t.same(pids.map(isRunning), [true, true, true, true]);

  child.kill('SIGKILL');
  await eventually(() => pids.every((pid) => !isRunning(pid)), { what: 'the end of all servers' });
  await eventually(() => folders.every((folder) => !existsSync(folder)), { what: 'the removal of all folders' });
});

async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface(stream)) return line;
  return '';
}

t.test('processes end in the reverse order of their start, each with what it started itself', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'kollect-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const keeper = await openKeeper();
  t.teardown(() => keeper.stop());
  const order = join(folder, 'order');
  const script = 'sleep 1000 & echo $! > "$1.pid"; trap \'echo "$2" >> "$1"; exit 0\' TERM; echo started; while :; do sleep 0.02; done';
  const sleepers: number[] = [];
  for (const name of ['first', 'second', 'third']) {
    const kept = await keeper.start({ name, command: 'sh', args: ['-c', script, 'sh', order, name], stop: [{ signal: 'SIGTERM', graceMs: 20_000 }] });
    await eventually(() => kept.logs().includes('started'));
    sleepers.push(Number(readFileSync(`${order}.pid`, 'utf8')));
  }
  await keeper.stop();
  t.equal(readFileSync(order, 'utf8'), 'third\nsecond\nfirst\n');
  await eventually(() => sleepers.every((pid) => !isRunning(pid)), { what: 'the end of what they started' });
});

t.test('a program that does not exist, and one that ends, are told', async (t) => {
  const keeper = await openKeeper();
  t.teardown(() => keeper.stop());
  await t.rejects(keeper.start({ name: 'nothing', command: '/nonexistent/program', args: [] }), /nothing could not be started: .*ENOENT/);
  const kept = await keeper.start({ name: 'brief', command: 'sh', args: ['-c', 'echo one; echo two; exit 3'] });
  t.same(await kept.untilExit(), { code: 3, signal: null });
  t.equal(kept.logs(1), 'two');
});

t.test('binaries come from KUBEBUILDER_ASSETS, from the cache, or from a build, and what is missing is named', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'kollect-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const lines: string[] = [];
  const report = (line: string) => void lines.push(line.replaceAll(/ {2,}/g, ' | '));

  const assets = join(folder, 'assets');
  mkdirSync(assets);
  writeFileSync(join(assets, 'etcd'), '#!/bin/sh\n', { mode: 0o755 });
  t.same(await obtain([etcdBinary], { report, verbose: true, environment: { KUBEBUILDER_ASSETS: assets } }), { etcd: join(assets, 'etcd') });

  const module = join(folder, 'module');
  mkdirSync(module);
  writeFileSync(join(module, 'go.mod'), 'module example.test/hello\n\ngo 1.21\n');
  writeFileSync(join(module, 'main.go'), 'package main\n\nvar version = "unset"\n\nfunc main() { println(version) }\n');
  const hello: GoBinary & { name: 'hello' } = { name: 'hello', version: '1.0.0', moduleFolder: module, package: '.', linkerFlags: ['-X main.version=1.0.0'] };
  const cache = join(folder, 'cache');
  const environment = { ...process.env, KOLLECT_CACHE: cache };
  const both = await Promise.all([obtain([hello], { report, environment }), obtain([hello], { environment })]);
  const path = join(cache, `hello-1.0.0-${process.platform}-${process.arch}`);
  t.same(both, [{ hello: path }, { hello: path }]);
  t.same(readdirSync(cache), [`hello-1.0.0-${process.platform}-${process.arch}`], 'neither lock nor temporary file is left');
  await obtain([hello], { report, verbose: true, environment });
  t.match(lines[0], /^etcd \d+\.\d+\.\d+ \| from KUBEBUILDER_ASSETS$/);
  t.match(lines.at(-1), /^hello 1\.0\.0 \| cached$/);

  const broken = { ...hello, name: 'broken', version: '2.0.0' };
  writeFileSync(join(module, 'main.go'), 'package main\n\nfunc main() { nonsense() }\n');
  await t.rejects(obtain([broken], { environment }), { name: 'ObtainError', message: /^broken 2\.0\.0 cannot be obtained: go build ended with code 1:[^]*undefined: nonsense/ });
  const withoutGo = await obtain([{ ...hello, version: '3.0.0' }, broken], { environment: { KOLLECT_CACHE: cache, PATH: '/nonexistent' } }).catch((error: unknown) => error);
  t.ok(withoutGo instanceof ObtainError && withoutGo.failures.length === 2, 'every missing one is named');
  t.match(withoutGo, { message: /^hello 3\.0\.0 cannot be obtained: Go is not installed\. Install Go/ });
  t.same(readdirSync(cache).length, 1, 'nothing is left of a failed build');
});

t.test('the cache lies where the user wants it, and a killed holder of a lock loses it', async (t) => {
  t.equal(cacheFolder({ KOLLECT_CACHE: '/x' }), '/x');
  t.equal(cacheFolder({ XDG_CACHE_HOME: '/y' }), '/y/kollect/servers');
  const folder = mkdtempSync(join(tmpdir(), 'kollect-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const lock = join(folder, 'lock');
  mkdirSync(lock);
  const anHourAgo = new Date(Date.now() - 3_600_000);
  utimesSync(lock, anHourAgo, anHourAgo);
  let waited = 0;
  t.equal(await withLock(lock, async () => 'mine', () => waited++), 'mine');
  t.ok(waited > 0);
  t.notOk(existsSync(lock));
});
