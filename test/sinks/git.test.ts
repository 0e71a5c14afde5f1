import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { SinkChange } from '../../controller/sinks/contract.ts';
import { CountedResources } from '../../controller/sinks/runtime/shared-resources.ts';
import { KollectError } from '../../shared/errors.ts';
import { startGit } from '../servers/git/index.ts';
import { canary, failure, identity, row, signal, whole } from './conformance.ts';
import { commitFile, filesOf, openGit } from './git-place.ts';

const mirrors = mkdtempSync(join(tmpdir(), 'kollect-mirrors-'));
process.env['KOLLECT_GIT_MIRROR_DIR'] = mirrors;
// As an emptyDir is.
chmodSync(mirrors, 0o777);
const git = await startGit({ password: canary });
t.teardown(async () => {
  await git.stop();
  rmSync(mirrors, { recursive: true, force: true });
});

const rows = [row('a', { v: 1 }), row('b', { v: 1 })];
const after = (digest: string, count = 2) => ({ after: { rows: count, digest } });
const since = (upserts: SinkChange['upserts'] extends Iterable<infer Slice> ? Slice : never, deletes: readonly string[] = []): Pick<SinkChange, 'since'> => ({ since: { upserts, deletes: deletes.map((uid) => ({ targetName: 'web', uid })) } });

t.test('the history of the branch reads as that of the inventory', async (t) => {
  const repository = await git.createRepository();
  const { sink } = await openGit(git, repository, 'http', { installation: 'ours', spec: { cluster: 'west', git: { commitTrailers: ['Signed-off-by: {sink} <kollect@example.com>'], author: { name: 'Jane' } } } });
  const of = { identity: identity('shop', 'west') };
  const message = () => repository.git('log', '-1', '--format=%an%n%B', 'main');
  await sink.write(whole(rows, { ...of, ...after('0123456789abcdef') }), signal);
  t.equal(
    (await message()).trim(),
    'Jane\nchore(west/team-a/shop): export 2 items @ 0123456789ab\n\n2 added\n\nadded:\n- Pod ns/a\n- Pod ns/b\n\nSigned-off-by: team-a/git <kollect@example.com>\nKollect-Inventory: west/team-a/shop\nKollect-Installation: ours\nKollect-Digest: 0123456789abcdef\nKollect-Rows: 2',
  );
  await sink.write({ ...whole([row('a', { v: 2 }), row('c')], { ...of, ...after('next') }), ...since([row('a', { v: 2 }), row('c')], ['b']) }, signal);
  t.match(await message(), /^Jane\nchore[^\n]+ @ next\n\n1 added, 1 changed, 1 removed\n\nadded:\n- Pod ns\/c\n\nchanged:\n- Pod ns\/a\n\nremoved:\n- Pod ns\/b\n\nSigned-off-by/);
  await sink.write(whole([row('a', { v: 2 })], { ...of, ...after('last', 1) }), signal);
  t.match(await message(), /\n1 removed\n\nremoved:\n- Pod ns\/c\n\n/);
  const restarted = await openGit(git, repository, 'http', { installation: 'ours', spec: { cluster: 'west' } });
  await restarted.sink.write(whole([row('a', { v: 3 })], { ...of, ...after('restarted', 1) }), signal);
  t.match(await message(), /export 1 items @ restarted\n\nKollect-Inventory/, 'what nobody knows is not told');
  await restarted.sink.close();
  t.match(await sink.remove(of.identity, true, signal), { deleted: 1 });
  t.match(await message(), /export 0 items @ removed\n\n1 removed\n\nremoved:\n- inventory\/team-a\/shop.yaml\n/);
  t.strictSame(await filesOf(repository), {});
  await sink.close();
});

t.test('a check tells what the branch holds by its last commits, and whether somebody else was there', async (t) => {
  const repository = await git.createRepository({ filters: true });
  const spec = { git: { cloneDepth: 3 } };
  const { sink } = await openGit(git, repository, 'http', { installation: 'ours', spec });
  t.strictSame(await sink.check(identity(), signal), { rows: 0, digest: undefined, owned: false });
  await sink.write(whole(rows, after('first')), signal);
  await sink.write(whole(rows, { identity: identity('stock'), ...after('stock') }), signal);
  const pushes = repository.pushes();
  const restarted = await openGit(git, repository, 'http', { installation: 'ours', spec });
  for (const at of [sink, restarted.sink]) {
    t.strictSame(await at.check(identity(), signal), { rows: 2, digest: 'first', owned: true });
    t.strictSame(await at.check(identity('stock'), signal), { rows: 2, digest: 'stock', owned: true });
  }
  t.equal((await restarted.sink.check(identity(), signal, true)).rows, 2, 'counted');
  await commitFile(repository, 'README', 'hello');
  t.strictSame(await sink.check(identity(), signal), { rows: 2, digest: 'first', owned: true }, 'who watched knows that it is still there');
  t.match((await (await openGit(git, repository, 'http', { installation: 'ours', spec })).sink.check(identity(), signal)).digest, undefined, 'who comes later does not');
  const theirs = await openGit(git, repository, 'http', { installation: 'theirs', spec: { git: { cloneDepth: 1 } } });
  await theirs.sink.write(whole([row('x')], { identity: identity('theirs'), ...after('theirs', 1) }), signal);
  const ours = await openGit(git, repository, 'http', { installation: 'ours', spec: { git: { cloneDepth: 1 } } });
  t.match(await failure(ours.sink.check(identity('theirs'), signal)), { code: 'KOL_SINK_OWNER', class: 'terminal', message: /push an empty commit/ });
  const taken = await filesOf(repository);
  t.match(await failure(ours.sink.write(whole([row('y')], { identity: identity('theirs') }), signal)), { code: 'KOL_SINK_OWNER', message: /another installation/ }, 'nor is it written, whatever may be deleted');
  t.strictSame(await ours.sink.remove(identity('theirs'), true, signal), { deleted: 0 });
  const unknown = await openGit(git, repository, 'http', { spec: { git: { cloneDepth: 1 } } });
  t.match(await failure(unknown.sink.check(identity('theirs'), signal)), { code: 'KOL_SINK_OWNER', class: 'terminal', message: /Namespace kube-system/ });
  t.match(await failure(unknown.sink.write(whole([row('y')], { identity: identity('theirs') }), signal)), { code: 'KOL_SINK_OWNER', message: /Namespace kube-system/ });
  t.strictSame(await unknown.sink.remove(identity('theirs'), true, signal), { deleted: 0 });
  t.strictSame(await filesOf(repository), taken);
  await unknown.sink.close();
  await commitFile(repository, 'inventory/team-a/shop.yaml', 'broken');
  t.equal((await sink.check(identity(), signal)).isTouched, true);
  t.match(await sink.write(whole(rows, after('first')), signal), { written: 2 });
  t.notOk((await sink.check(identity(), signal)).isTouched);
  t.ok(repository.pushes() > pushes);
  await Promise.all([sink, restarted.sink, theirs.sink, ours.sink].map((one) => one.close()));
});

t.test('files that somebody else edits or removes are found at the next look and written again, also by a process that has only looked so far', async (t) => {
  for (const layout of [undefined, { mode: 'perResource' }] as const) {
    const repository = await git.createRepository({ filters: true });
    // Of equal rows, documents in JSON keep the time when they were written first.
    const spec = layout ? { layout } : { serialization: { format: 'json' } as const };
    const { sink } = await openGit(git, repository, 'http', { installation: 'ours', spec });
    await sink.write(whole(rows, after('first')), signal);
    const intact = await filesOf(repository);
    const ours = Object.keys(intact).filter((path) => !path.endsWith('.manifest.json'));
    const breaks = { edited: () => commitFile(repository, ours[0]!, 'broken'), removed: () => commitFile(repository, ours[0]!, undefined) };
    for (const [what, breakIt] of Object.entries(breaks)) {
      const restarted = await openGit(git, repository, 'http', { installation: 'ours', spec });
      t.match(await restarted.sink.check(identity(), signal), { rows: 2, digest: 'first' });
      await breakIt();
      for (const one of [sink, restarted.sink]) t.equal((await one.check(identity(), signal)).isTouched, true, what);
      const { written } = await restarted.sink.write(whole(rows, after('first')), signal);
      t.equal(written, layout ? 1 : 2);
      t.strictSame(Object.keys(await filesOf(repository)), Object.keys(intact));
      if (layout) t.match(await repository.git('log', '-1', '--format=%b', 'main'), what === 'edited' ? /^1 changed\n\nchanged:\n- default\// : /^1 added\n\nadded:\n- default\//);
      t.notOk((await restarted.sink.check(identity(), signal)).isTouched, 'mended');
      t.equal((await sink.check(identity(), signal)).isTouched, true);
      t.match(await sink.write(whole(rows, after('first')), signal), { written: 0 });
      await restarted.sink.close();
    }
    await sink.close();
  }
});

t.test('a web page in place of the server is not a repository without branches', async (t) => {
  const repository = await git.createRepository();
  const { sink } = await openGit(git, repository, 'http', { installation: 'ours' });
  t.match(await sink.check(identity(), signal), { rows: 0 }, 'an empty repository is one');
  await sink.write(whole(rows), signal);
  git.intercept((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>We are back soon.</html>');
    return true;
  });
  for (const work of [() => sink.check(identity(), signal), () => sink.remove(identity(), true, signal)]) t.match(await failure(work()), { code: 'KOL_SINK_CONFIG', message: /what answers there is no server of git/ });
  git.intercept(undefined);
  t.match(await sink.check(identity(), signal), { rows: 2 });
  t.match(await sink.remove(identity(), true, signal), { deleted: 2 });
  await sink.close();
});

t.test('a tree keeps no file of a push whose answer was lost, nor of one that somebody brought back', async (t) => {
  const repository = await git.createRepository();
  const { sink } = await openGit(git, repository, 'http', { spec: { layout: { mode: 'perResource' } } });
  const tree = async () => Object.keys(await filesOf(repository)).filter((path) => !path.endsWith('.manifest.json')).map((path) => path.replace(/.*\//, '')).sort();
  const lost = { code: 'KOL_SINK_DESTINATION_LOST', message: /files of the inventory have changed in branch "main"/ };
  const change = (all: typeof rows, upserts: typeof rows, deletes: readonly string[] = []) => sink.write({ ...whole(all, after('next', all.length)), ...since(upserts, deletes) }, signal);
  await sink.write(whole(rows, after('first')), signal);
  repository.loseAnswer('cut');
  t.match(await failure(change([...rows, row('c')], [row('c')])), { code: 'KOL_SINK_UNAVAILABLE' });
  t.strictSame(await tree(), ['a.yaml', 'b.yaml', 'c.yaml'], 'it has arrived');
  const next = [row('a', { v: 2 }), rows[1]!];
  t.match(await failure(change(next, [next[0]!])), lost, 'what came and went meanwhile is in no change');
  await sink.write(whole(next, after('second')), signal);
  t.strictSame(await tree(), ['a.yaml', 'b.yaml']);

  await change([next[0]!], [], ['b']);
  t.strictSame(await tree(), ['a.yaml']);
  await repository.git('update-ref', 'refs/heads/main', 'main~1');
  t.match(await failure(change([row('a')], [row('a')])), lost);
  // Who begins now has read what was there before somebody brought a file back.
  let isFirst = true;
  git.intercept(async ({ url }) => {
    if (isFirst && url?.endsWith('service=git-receive-pack')) {
      isFirst = false;
      await repository.git('update-ref', 'refs/heads/main', 'main~1');
    }
    return false;
  });
  t.match(await failure(sink.write(whole([row('a')], after('third', 1)), signal)), lost);
  git.intercept(undefined);
  await sink.write(whole([row('a')], after('third', 1)), signal);
  t.strictSame(await tree(), ['a.yaml']);
  await sink.close();
});

t.test('sinks of one branch share a mirror, and what waits goes with one push', async (t) => {
  const repository = await git.createRepository();
  const shared = new CountedResources();
  const { sink } = await openGit(git, repository, 'http', { shared, spec: { options: { pushOptions: 'ci.skip, topic=x' } } });
  const other = await openGit(git, repository, 'http', { shared, spec: { options: { pushOptions: 'ci.skip, topic=x' }, layout: { mode: 'perResource' } } });
  t.equal(shared.size, 1);
  await sink.write(whole([], { identity: identity('first') }), signal);
  const before = repository.pushes();
  const names = Array.from({ length: 50 }, (_, index) => `i${index}`);
  await Promise.all(names.map((name, index) => (index === 0 ? other : { sink }).sink.write(whole(rows, { identity: identity(name) }), signal)));
  t.ok(repository.pushes() - before <= 2, `${repository.pushes() - before} pushes`);
  t.equal(Object.keys(await filesOf(repository)).length, 1 + 49 + 3);
  t.equal(readFileSync(join(repository.folder, 'push-options'), 'utf8'), 'ci.skip\ntopic=x\n');
  await sink.close();
  t.match(await other.sink.write(whole(rows, { identity: identity('i0') }), signal), { written: 0 }, 'the other goes on');
  await other.sink.close();
  t.equal(shared.size, 0);
});

t.test('credentials are in no argument of a process, no file of the mirror, no commit and no message', async (t) => {
  const repository = await git.createRepository();
  const seen = new Set<string>();
  let isWatching = true;
  const watch = async () => {
    while (isWatching) {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
          const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
          // Whatever else runs on the machine is none of ours.
          if (/^([^\0]*\/)?(git|ssh|sh\0)/.test(command)) seen.add(command);
        } catch {
          // Gone since.
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const watching = watch();
  const encoded = Buffer.from(`${git.user}:${canary}`).toString('base64');
  for (const protocol of ['http', 'ssh'] as const) {
    const { sink } = await openGit(git, repository, protocol);
    await sink.probe(signal);
    await sink.write(whole([row(protocol)]), signal);
    const files = readdirSync(mirrors, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !entry.parentPath.includes('access-'));
    for (const { parentPath, name } of files) t.notOk(readFileSync(join(parentPath, name), 'latin1').includes(canary) || readFileSync(join(parentPath, name), 'latin1').includes(encoded), name);
    await sink.close();
  }
  isWatching = false;
  await watching;
  const all = [...seen].join('\n');
  t.ok(all.includes('git\0push'), 'the processes were seen');
  for (const secret of [canary, encoded, 'PRIVATE KEY']) t.notOk(all.includes(secret));
  t.notMatch(await repository.git('log', '--format=%B', 'main'), canary);
  const wrong = await openGit(git, repository, 'http', { secret: { password: `${canary}-wrong` } });
  t.match(await failure(wrong.sink.write(whole(rows), signal)), { code: 'KOL_SINK_AUTH' });
  const echo = await openGit(git, repository, 'http');
  repository.decline(`you are ${canary}`);
  t.match(await failure(echo.sink.write(whole(rows), signal)), { code: 'KOL_SINK_REFUSED', message: /you are \*\*\*/ });
  await Promise.all([wrong.sink.close(), echo.sink.close()]);
});

t.test('git connects to the address that was judged, whatever the name resolves to by then', async (t) => {
  const repository = await git.createRepository();
  const named = (url: string) => url.replace('127.0.0.1', 'git.example.com');
  const lookupAll = async () => ['127.0.0.1'];
  const https = await openGit(git, repository, 'https', { lookupAll, spec: { endpoint: named(repository.httpsUrl) } });
  t.match(await https.sink.write(whole(rows), signal), { written: 2 });
  const ssh = await openGit(git, repository, 'ssh', { lookupAll, spec: { endpoint: named(repository.sshUrl) }, secret: { known_hosts: named(git.knownHosts) } });
  t.match(await ssh.sink.write(whole(rows), signal), { written: 0 });
  const refused = await openGit(git, repository, 'http', { policy: { allowPrivate: true, allowLoopback: false } });
  t.match(await failure(refused.sink.write(whole(rows), signal)), { code: 'KOL_SINK_ADDRESS', class: 'terminal' });
  const untrusted = await openGit(git, repository, 'https', { spec: { tls: {} } });
  t.match(await failure(untrusted.sink.probe(signal)), { code: 'KOL_SINK_CONFIG', message: /certificate of the server/ });
  const insecure = await openGit(git, repository, 'https', { spec: { tls: { insecureSkipVerify: true } } });
  t.match(await insecure.sink.probe(signal), { message: /git remote reachability verified/ });
  await Promise.all([https, ssh, refused, untrusted, insecure].map(({ sink }) => sink.close()));
});

t.test('a probe says what an export would meet, and writes nothing', async (t) => {
  const repository = await git.createRepository();
  const probe = async (options: Parameters<typeof openGit>[3], protocol: 'http' | 'https' | 'ssh' = 'http') => {
    const { sink } = await openGit(git, repository, protocol, options);
    return await sink.probe(signal).finally(() => sink.close());
  };
  t.match(await probe({}), { message: /the first export will create the branch "main"/ });
  t.match(await failure(probe({ spec: { provisioning: { mode: 'existing' } } })), { code: 'KOL_SINK_SCHEMA' });
  t.match(await failure(probe({ secret: { password: 'wrong' } })), { code: 'KOL_SINK_AUTH' });
  t.match(await failure(probe({ secret: { known_hosts: git.wrongKnownHosts } }, 'ssh')), { code: 'KOL_SINK_CONFIG', message: /known_hosts/ });
  await commitFile(repository, 'README', 'hello');
  t.match(await probe({}, 'https'), { message: /^TLS and git remote reachability verified: login succeeded, the user may push, the branch "main" is there/ });
  await repository.git('config', 'http.receivepack', 'false');
  t.match(await failure(probe({})), { code: 'KOL_SINK_AUTH', message: /grant the right to push/ });
  t.match(await probe({}, 'ssh'), { message: /^SSH and git/ });
  t.equal(repository.pushes(), 0);
  t.equal(await repository.git('log', '--format=%s', 'main'), 'by hand\n');
});

t.test('nothing is pushed by a process that does not lead any more, and a server that holds a push holds nobody up', async (t) => {
  const repository = await git.createRepository();
  const former = await openGit(git, repository, 'http', {
    fence: () => {
      throw new KollectError('KOL_LEADER_LOST', 'the lease is lost');
    },
  });
  t.match(await failure(former.sink.write(whole(rows), signal)), { code: 'KOL_LEADER_LOST' });
  t.equal(repository.pushes(), 0);
  const { sink } = await openGit(git, repository, 'http');
  const hold = repository.hold();
  const abort = new AbortController();
  const cancelled = failure(sink.write(whole(rows), abort.signal));
  const waits = async (): Promise<void> => {
    while (!hold.waits()) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await waits();
  abort.abort();
  t.match(await cancelled, { code: 'KOL_SINK_UNAVAILABLE' });
  hold.release();
  t.match(await sink.write(whole(rows), signal), { written: 2 });
  await Promise.all([former.sink.close(), sink.close()]);
});
