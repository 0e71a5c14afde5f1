import fs, { chmodSync, existsSync, readdirSync, type PathLike } from 'node:fs';
import { mkdtemp, readFile, rm, truncate } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { OpenContext } from '../../controller/sinks/contract.ts';
import type { BranchWrite } from '../../controller/sinks/git/branch.ts';
import type { FileChanges } from '../../controller/sinks/git/commits.ts';
import { Connection } from '../../controller/sinks/git/connection.ts';
import { commitMessage, snapshotIn } from '../../controller/sinks/git/message.ts';
import { readSettings } from '../../controller/sinks/git/settings.ts';
import { createDialer } from '../../controller/sinks/runtime/dialer.ts';
import { resolveSecret } from '../../controller/sinks/runtime/secrets.ts';
import type { KollectSnapshotSinkSpec } from '../../shared/api/kollect-snapshot-sink.ts';
import { eventually } from '../servers/eventually.ts';
import { startGit, type GitRepository } from '../servers/git/index.ts';
import { canary, failure, signal } from './conformance.ts';

const git = await startGit({ password: canary });
const root = await mkdtemp(join(tmpdir(), 'kollect-mirrors-'));
t.teardown(async () => {
  await git.stop();
  await rm(root, { recursive: true, force: true });
});

type Protocol = 'http' | 'https' | 'ssh';

interface ConnectOptions {
  spec?: Partial<KollectSnapshotSinkSpec>;
  secret?: Record<string, string>;
}

async function connect(t: Tap, repository: GitRepository, protocol: Protocol, { spec = {}, secret = {} }: ConnectOptions = {}): Promise<Connection> {
  const values = protocol === 'ssh' ? { 'ssh-privatekey': git.sshKey, known_hosts: git.knownHosts, ...secret } : { username: git.user, password: git.password, ...secret };
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const { values: secrets } = await resolveSecret({ name: 'git' }, 'team-a', async () => ({ data }));
  const dialer = createDialer({ policy: { allowPrivate: true, allowLoopback: true } });
  const settings = readSettings({
    spec: { type: 'git', connectionTest: true, endpoint: repository[`${protocol}Url`], secretRef: { name: 'git' }, ...spec },
    secrets,
    ca: protocol === 'https' ? git.caPem : undefined,
    dialer,
  } as unknown as OpenContext<KollectSnapshotSinkSpec>);
  const connection = new Connection(settings, dialer, root);
  t.teardown(() => connection.close());
  return connection;
}
type Tap = Pick<typeof t, 'teardown'>;

/** An inventory with these files by path, and without those that are undefined. */
function write(files: Record<string, string | undefined>, parts: Partial<BranchWrite> = {}): BranchWrite {
  const entries = Object.entries(files);
  return {
    key: 'default/team-a/shop',
    files: entries.flatMap(([path, text]) => (text === undefined ? [] : { path, bytes: [Buffer.from(text)] })),
    isWhole: true,
    base: undefined,
    removes: entries.flatMap(([path, text]) => (text === undefined ? path : [])),
    message: ({ added, changed, removed }: FileChanges) => `+${added.join(' ')} ~${changed.join(' ')} -${removed.join(' ')}`,
    author: { name: 'kollect', email: 'kollect@example.com' },
    state: { after: undefined, installation: undefined },
    fence: () => undefined,
    ...parts,
  };
}

async function* failing(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    throw new Error('EIO');
  }
}

const history = async ({ git }: GitRepository) => (await git('log', '--format=%s', 'main')).trim().split('\n');
const tree = async ({ git }: GitRepository) => (await git('ls-tree', '-r', '--name-only', 'main')).trim().split('\n');

for (const protocol of ['http', 'https', 'ssh'] as const) {
  t.test(`over ${protocol}: a branch comes to hold what an inventory wants, and only changes are pushed`, async (t) => {
    const repository = await git.createRepository({ filters: protocol === 'ssh' });
    const one = await connect(t, repository, protocol);
    t.match(await one.branch.write(write({ 'a/b/x': 'x', 'a/y': 'ü\n' }), signal), { added: ['a/b/x', 'a/y'], bytes: 4 });
    t.equal(await repository.git('show', 'main:a/y'), 'ü\n');
    t.match(await one.branch.write(write({ 'a/b/x': 'x', 'a/y': 'ü\n' }), signal), { added: [], changed: [], removed: [] });
    t.match(await one.branch.write(write({ 'a/b/x': 'x2', 'a/y': undefined, 'a/never': undefined, 'a/z "q" \\': 'z' }), signal), { added: ['a/z "q" \\'], changed: ['a/b/x'], removed: ['a/y'] });
    t.strictSame(await history(repository), ['+a/z "q" \\ ~a/b/x -a/y', '+a/b/x a/y ~ -']);
    t.equal(await repository.git('log', '-1', '--format=%an <%ae> %cn', 'main'), 'kollect <kollect@example.com> kollect\n');
    t.equal(repository.pushes(), 2);

    const another = await connect(t, repository, protocol);
    t.match(await another.branch.write(write({ 'a/b/x': 'x2', 'a/z "q" \\': 'z' }), signal), { added: [], changed: [] }, 'a process that starts finds it there');
    t.match(await another.branch.write(write({ 'a/b/x': 'x2', 'a/z "q" \\': undefined }), signal), { removed: ['a/z "q" \\'] });
    t.match(await one.branch.write(write({ 'a/b/x': 'x3' }), signal), { changed: ['a/b/x'] }, 'and one that was overtaken goes on from there');
    t.strictSame(await tree(repository), ['a/b/x']);
    t.equal((await history(repository)).length, 4, 'nobody lost a commit');
    t.equal(await repository.git('fsck', '--strict'), '');
  });
}

t.test('what others change is kept, and what they break of an inventory is mended', async (t) => {
  const repository = await git.createRepository({ filters: true });
  const { branch } = await connect(t, repository, 'http');
  await branch.write(write({ 'a/x': 'x', 'a/y': 'y' }), signal);
  const someone = await connect(t, repository, 'http');
  await someone.branch.write(write({ README: 'hello' }, { key: 'other' }), signal);
  t.match(await branch.write(write({ 'a/x': 'x', 'a/y': 'y2' }), signal), { changed: ['a/y'] });
  await someone.branch.write(write({ README: 'hello', 'a/x': 'broken' }, { key: 'other' }), signal);
  t.match(await branch.write(write({ 'a/x': 'x', 'a/y': 'y2' }), signal), { changed: ['a/x'] });
  t.strictSame(await tree(repository), ['README', 'a/x', 'a/y']);
  await repository.git('update-ref', '-d', 'refs/heads/main');
  t.match(await branch.write(write({ 'a/x': 'x' }), signal), { added: ['a/x'] }, 'a branch that is gone is made again');
});

t.test('whoever waits for a branch shares one push, with a commit for each', async (t) => {
  const repository = await git.createRepository();
  const { branch } = await connect(t, repository, 'http');
  await branch.write(write({ first: '1' }, { key: 'first' }), signal);
  const many = Array.from({ length: 50 }, (_, index) => write({ [`many/${index}`]: String(index) }, { key: `many-${index}` }));
  const outcomes = await Promise.all(many.map((one) => branch.write(one, signal)));
  t.ok(outcomes.every(({ added }) => added.length === 1));
  t.equal(repository.pushes(), 2);
  t.equal((await history(repository)).length, 51);
  t.equal((await tree(repository)).length, 51);

  const bad = write({ 'first/below': '1' }, { key: 'bad' });
  const results = await Promise.allSettled([branch.write(bad, signal), branch.write(write({ 'many/0': 'new' }, { key: 'many-0' }), signal), branch.write(write({ many: '' }, { key: 'worse' }), signal)]);
  t.match(results, [
    { status: 'rejected', reason: { code: 'KOL_SINK_CONFIG', message: /a file at "first", where the export needs a folder/ } },
    { status: 'fulfilled' },
    { status: 'rejected', reason: { code: 'KOL_SINK_CONFIG', message: /a folder at "many", where the export needs a file/ } },
  ], 'what one cannot do holds up no other');
});

t.test('a push whose answer is lost is an error, and its repetition finds everything there', async (t) => {
  for (const protocol of ['http', 'ssh'] as const) {
    const repository = await git.createRepository();
    const { branch } = await connect(t, repository, protocol);
    await branch.write(write({ x: '1' }), signal);
    repository.loseAnswer('cut');
    t.match(await failure(branch.write(write({ x: '2' }), signal)), { class: 'transient', code: 'KOL_SINK_UNAVAILABLE' }, protocol);
    t.match(await branch.write(write({ x: '2' }), signal), { changed: [], added: [] });
    t.equal(await repository.git('show', 'main:x'), '2');
    repository.loseAnswer('silence');
    const patience = new AbortController();
    const silent = failure(branch.write(write({ x: '3' }), patience.signal));
    await eventually(() => repository.pushes() === 3, { what: 'the push' });
    t.equal(await repository.git('show', 'main:x'), '3');
    patience.abort();
    t.match(await silent, { class: 'transient' });
    await branch.write(write({ x: '4' }), signal);
    t.strictSame(await history(repository), ['+ ~x -', '+ ~x -', '+ ~x -', '+x ~ -']);
  }
});

t.test('a branch that moves while a push is under way is pushed to again, upon what it holds by then', async (t) => {
  const repository = await git.createRepository();
  const { branch } = await connect(t, repository, 'http');
  await branch.write(write({ x: '1' }), signal);
  const someone = await connect(t, repository, 'ssh');
  // The fence is passed before the work and before the push: somebody else is faster then.
  let asked = 0;
  const contended = write({ x: '2' }, {
    fence: () => {
      asked++;
    },
  });
  const [outcome] = await Promise.all([branch.write(contended, signal), someone.branch.write(write({ z: '1' }, { key: 'z' }), signal)]);
  t.match(outcome, { changed: ['x'] });
  t.ok(asked >= 2, 'the fence is passed before the work and before the push');
  t.strictSame(await tree(repository), ['x', 'z']);
});

t.test('a folder with thousands of files changes at once, and whatever others keep there stays as it is', async (t) => {
  const repository = await git.createRepository({ filters: true });
  // A name that is no UTF-8, a program, a link, and a folder in the folder.
  await repository.feed(
    `blob\nmark :1\ndata 6\ntheirs\ncommit refs/heads/main\ncommitter someone <someone@example.com> 0 +0000\ndata 0\nM 100644 :1 "many/\\377"\nM 100755 :1 many/run\nM 120000 :1 many/link\nM 100644 :1 many/f00002/x\nM 100644 :1 other/x\n`,
    'fast-import', '--quiet',
  );
  const { branch } = await connect(t, repository, 'http');
  const theirs = await repository.git('ls-tree', '-r', 'main');
  const files = (folder: string, count: number, text: string | undefined) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`${folder}f${String(index).padStart(5, '0')}.yaml`, text]));
  const lines = async () => (await repository.git('ls-tree', '-r', 'main')).split('\n').length - 1;
  const [one, two] = await Promise.all([
    branch.write(write(files('many/', 2_500, '1')), signal),
    branch.write(write({ ...files('many/g', 2_500, '1'), ...files('', 2_500, '1') }, { key: 'two' }), signal),
    branch.write(write({ 'few/x': '1' }, { key: 'three' }), signal),
  ]);
  t.strictSame([one.added.length, two.added.length], [2_500, 5_000]);
  t.equal(await lines(), 5 + 7_500 + 1);
  t.equal(await repository.git('show', 'main:many/f02499.yaml'), '1');
  t.equal(repository.pushes(), 1);
  t.match(await branch.write(write({ ...files('many/', 2_500, undefined), 'many/f00002/y': '2' }), signal), { added: ['many/f00002/y'] });
  t.equal((await branch.write(write({ ...files('many/g', 2_500, undefined), ...files('', 2_500, undefined) }, { key: 'two' }), signal)).removed.length, 5_000);
  await branch.write(write({ 'few/x': undefined }, { key: 'three' }), signal);
  await branch.write(write({ 'many/f00002/y': undefined }), signal);
  t.equal(await repository.git('ls-tree', '-r', 'main'), theirs);
  await branch.write(write(files('gone/by/', 2_500, '1'), { key: 'four' }), signal);
  await branch.write(write(files('gone/by/', 2_500, undefined), { key: 'four' }), signal);
  t.equal(await repository.git('ls-tree', '-r', 'main'), theirs, 'nor is an empty folder left');
  t.equal(await repository.git('fsck', '--strict'), '');
});

t.test('a branch that moves while the server takes the push is pushed to again, and both commits are there', async (t) => {
  const repository = await git.createRepository({ filters: true });
  for (const protocol of ['http', 'ssh'] as const) {
    const { branch } = await connect(t, repository, protocol);
    await branch.write(write({ [protocol]: '1' }, { key: protocol }), signal);
    const before = (await history(repository)).length;
    await repository.feed(`commit refs/rivals/${protocol}\ncommitter someone <someone@example.com> 0 +0000\ndata 5\nrival\nfrom main\nM 100644 inline rival-${protocol}\ndata 5\nrival\n`, 'fast-import', '--quiet');
    repository.overtake(`${(await repository.git('rev-parse', `refs/rivals/${protocol}`)).trim()}\n`);
    t.match(await branch.write(write({ [protocol]: '2' }, { key: protocol }), signal), { changed: [protocol] });
    t.strictSame((await history(repository)).slice(0, 2), [`+ ~${protocol} -`, 'rival'], protocol);
    t.equal((await history(repository)).length, before + 2);
    t.equal(await repository.git('show', `main:${protocol}`), '2');
  }
  t.strictSame(await tree(repository), ['http', 'rival-http', 'rival-ssh', 'ssh']);
});

t.test('what was refused is not tried again when the others have to be', async (t) => {
  const repository = await git.createRepository();
  const { branch } = await connect(t, repository, 'http');
  for (const [key, text] of [['full', '1'], ['fenced', '1'], ['other', '1']] as const) await branch.write(write({ [`${key}/x`]: text, [`${key}/y`]: text }, { key }), signal);
  await repository.feed(`commit refs/rivals/refused\ncommitter someone <someone@example.com> 0 +0000\ndata 5\nrival\nfrom main\nM 100644 inline rival\ndata 5\nrival\n`, 'fast-import', '--quiet');
  repository.overtake(`${(await repository.git('rev-parse', 'refs/rivals/refused')).trim()}\n`);
  async function* files() {
    yield { path: 'full/x', bytes: [Buffer.from('2')] };
    throw new Error('no space left');
  }
  let asked = 0;
  const fence = () => {
    if (++asked === 1) throw new Error('the lease is lost');
  };
  const results = await Promise.allSettled([
    branch.write(write({ 'full/y': undefined }, { key: 'full', files: files() }), signal),
    branch.write(write({ 'fenced/x': '2', 'fenced/y': undefined }, { key: 'fenced', fence }), signal),
    branch.write(write({ 'other/x': '2' }, { key: 'other' }), signal),
  ]);
  t.match(results, [{ status: 'rejected', reason: /no space left/ }, { status: 'rejected', reason: /the lease is lost/ }, { status: 'fulfilled' }]);
  t.strictSame((await history(repository)).slice(0, 2), ['+ ~other/x -', 'rival']);
  t.strictSame(await tree(repository), ['fenced/x', 'fenced/y', 'full/x', 'full/y', 'other/x', 'other/y', 'rival']);
  t.equal(asked, 1);
  t.match(await branch.write(write({ 'full/x': '2', 'full/y': undefined }, { key: 'full' }), signal), { changed: ['full/x'], removed: ['full/y'] }, 'and is remembered as it was');
});

t.test('a large file that cannot be read back while it is sent fails all who share the stream, and nothing of it is pushed', async (t) => {
  const repository = await git.createRepository();
  const { branch } = await connect(t, repository, 'http');
  await branch.write(write({ 'other/x': '1' }, { key: 'other' }), signal);
  const large = () => write({ 'large/x': 'x'.repeat(5 << 20), 'large/y': '1' }, { key: 'large' });
  const both = () => Promise.allSettled([branch.write(large(), signal), branch.write(write({ 'other/x': '2' }, { key: 'other' }), signal)]);
  const { createReadStream } = fs;
  t.teardown(() => {
    fs.createReadStream = createReadStream;
    syncBuiltinESMExports();
  });
  for (const [what, broken] of Object.entries({
    fails: (path: PathLike) => Readable.from(failing(createReadStream(path))),
    'is cut off': (path: PathLike) => createReadStream(path, { end: 99_999 }),
  })) {
    let opened = 0;
    // It is read once for its name, and a second time to be sent.
    fs.createReadStream = ((path: PathLike) => (++opened === 2 ? broken(path) : createReadStream(path))) as typeof createReadStream;
    syncBuiltinESMExports();
    const lost = { status: 'rejected', reason: { code: 'KOL_SINK_BUSY', message: /could not be read again: it has 5242880 bytes, of which \d+ came/ } };
    t.match(await both(), [lost, lost], what);
    t.strictSame([await tree(repository), repository.pushes()], [['other/x'], 1], what);
    t.strictSame(readdirSync(root).filter((name) => name.startsWith('content-')), [], 'nothing waits any more');
  }
  t.match(await both(), [{ value: { added: ['large/x', 'large/y'] } }, { value: { changed: ['other/x'] } }], 'the next try succeeds');
  t.equal(await repository.git('cat-file', '-s', 'main:large/x'), '5242880\n');
  t.equal(await repository.git('fsck', '--strict'), '');
});

t.test('of a long history and of large files nothing is fetched but the end, and files together that are read', async (t) => {
  for (const filters of [true, false]) {
    const repository = await git.createRepository({ filters });
    const commits = Array.from({ length: 2_000 }, (_, index) => {
      const text = `commit ${index} ${'x'.repeat(500)}`;
      return `commit refs/heads/main\ncommitter someone <someone@example.com> 0 +0000\ndata 0\nM 100644 inline folder-${index % 7}/file-${index % 20}\ndata ${text.length}\n${text}\n\n`;
    });
    await repository.feed(commits.join(''), 'fast-import', '--quiet');
    const { branch, mirror } = await connect(t, repository, 'http');
    const objects = async () => {
      const { stdout } = await mirror.local({ args: ['cat-file', '--batch-all-objects', '--batch-check=%(objecttype)', '--unordered'], signal });
      const types = stdout.toString().trim().split('\n');
      return Object.fromEntries(['commit', 'tree', 'blob'].map((type) => [type, types.filter((one) => one === type).length]));
    };
    await branch.write(write({ 'ours/x': '1' }), signal);
    const files = (await tree(repository)).length;
    t.strictSame(await objects(), { commit: 2, tree: 8 + 2, blob: filters ? 1 : files }, 'the end of what was there, and what was written');
    const there = (await tree(repository)).filter((path) => path.startsWith('folder-'));
    let requests = 0;
    git.intercept(() => ++requests < 0);
    const read: [string, string][] = [];
    for await (const [path, file] of (await branch.store(signal)).readAll(['folder-0/none', ...there.toReversed(), 'none/none'])) read.push([path, Buffer.from(file).toString()]);
    git.intercept(undefined);
    const expected: [string, string][] = [];
    for (const path of there.toReversed()) expected.push([path, await repository.git('show', `main:${path}`)]);
    t.strictSame(read, expected, 'in the order in which they were asked for');
    t.ok(requests < 8, `${requests} requests for ${there.length} files, and not some for each`);
    await repository.feed(commits.slice(0, 300).join('').replace('data 0\n', 'data 0\nfrom main\n'), 'fast-import', '--quiet', '--force');
    await branch.write(write({ 'ours/x': '2' }), signal);
    t.equal((await objects())['commit'], 5, 'also when others go on: their last, and ours that came too late');
    t.equal(Number(await repository.git('rev-list', '--count', 'main')), 2_302);
  }
});

t.test('a mirror is tidied up, and goes on', async (t) => {
  for (const filters of [true, false]) {
    const repository = await git.createRepository({ filters });
    await repository.feed('commit refs/heads/main\ncommitter someone <someone@example.com> 0 +0000\ndata 0\nM 100644 inline theirs/x\ndata 1\nx\n', 'fast-import', '--quiet');
    const { branch, mirror } = await connect(t, repository, 'http');
    for (const text of ['1', '2', '3']) await branch.write(write({ 'ours/x': text, 'ours/y': 'y' }), signal);
    await branch.inspect(signal, (tip) => mirror.tidy(tip!, signal));
    t.notOk(mirror.isEmpty, 'it was not thrown away');
    const { stdout } = await mirror.local({ args: ['count-objects', '-v'], signal });
    t.match(stdout.toString(), /^count: 0\n/);
    t.equal((await mirror.commits('refs/kollect/tip', signal)).length, 1);
    t.match(await branch.write(write({ 'ours/x': '4', 'ours/y': 'y' }), signal), { changed: ['ours/x'] });
    const someone = await connect(t, repository, 'http');
    await someone.branch.write(write({ 'ours/y': 'broken' }, { key: 'other' }), signal);
    t.match(await branch.write(write({ 'ours/x': '4', 'ours/y': 'y' }), signal), { changed: ['ours/y'] });
    t.equal(Number(await repository.git('rev-list', '--count', 'main')), 7);
  }
});

t.test('a mirror that is damaged is made anew', async (t) => {
  const repository = await git.createRepository();
  const { branch, mirror } = await connect(t, repository, 'http');
  await branch.write(write({ x: '0' }), signal);
  for (const [at, damaged] of ['HEAD', 'config', 'objects'].entries()) {
    await branch.write(write({ x: `${at} before` }), signal);
    const { stdout } = await mirror.local({ args: ['rev-parse', '--absolute-git-dir'], signal });
    const folder = stdout.toString().trim();
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && path.startsWith(join(folder, damaged))) await truncate(path, 3);
    }
    // Somebody is here who only asks the server, and then somebody who writes.
    await branch.inspect(signal, async () => undefined).catch(() => undefined);
    await branch.write(write({ x: `${at} after` }), signal).catch(() => undefined);
    await branch.write(write({ x: `${at} after` }), signal);
    t.equal(await repository.git('show', 'main:x'), `${at} after`, damaged);
  }
});

t.test('a mirror that lacks what only some look at is made anew', async (t) => {
  const repository = await git.createRepository();
  const former = await connect(t, repository, 'http');
  for (const key of ['busy', 'quiet']) await former.branch.write(write({ [`of/${key}/x`]: key }, { key }), signal);
  const damages: Record<string, (folder: string) => Promise<unknown>> = {
    'an index of what was fetched is cut off': (folder) => Promise.all(readdirSync(join(folder, 'objects', 'pack')).map((name) => name.endsWith('.idx') && truncate(join(folder, 'objects', 'pack', name), 3))),
    'the whole folder is gone': (folder) => rm(folder, { recursive: true }),
  };
  for (const [what, damage] of Object.entries(damages)) {
    const { branch, mirror } = await connect(t, repository, 'http');
    const busy = (text: string) => branch.write(write({ 'of/busy/x': `${what} ${text}` }, { key: 'busy' }), signal);
    const quiet = async () => await (await branch.store(signal)).list('of/quiet');
    await busy('before');
    const { stdout } = await mirror.local({ args: ['rev-parse', '--absolute-git-dir'], signal });
    await damage(stdout.toString().trim());
    t.match(await failure(quiet()), { code: 'KOL_SINK_BUSY', message: /a tree of the branch is missing in the mirror/ }, what);
    t.strictSame(await quiet(), ['x'], what);
    await busy('after');
    t.equal(await repository.git('show', 'main:of/busy/x'), `${what} after`);
  }
});

t.test('a folder for mirrors that others can write to is refused', async (t) => {
  const repository = await git.createRepository();
  const { branch } = await connect(t, repository, 'http');
  chmodSync(root, 0o777);
  const refused = await failure(branch.write(write({ x: '1' }), signal));
  chmodSync(root, 0o700);
  t.match(refused, { code: 'KOL_SINK_CONFIG', class: 'terminal', message: /others cannot write to/ });
  t.match(await branch.write(write({ x: '1' }), signal), { added: ['x'] });
});

t.test('a server that declines says why', async (t) => {
  const repository = await git.createRepository();
  const { branch } = await connect(t, repository, 'http');
  repository.decline('no exports on Fridays');
  t.match(await failure(branch.write(write({ x: '1' }), signal)), { code: 'KOL_SINK_REFUSED', class: 'terminal', message: /a hook of the server declined the push \(http:\/\/127.0.0.1:\d+\/.*\): .*no exports on Fridays/ });
  repository.decline(undefined);
  t.match(await branch.write(write({ x: '1' }), signal), { added: ['x'] });
});

t.test('failures say what to do', async (t) => {
  const repository = await git.createRepository();
  const fails = async (protocol: Protocol, options: ConnectOptions) => await failure((await connect(t, repository, protocol, options)).branch.write(write({ x: '1' }), signal));
  t.match(await fails('http', { secret: { password: 'wrong' } }), { code: 'KOL_SINK_AUTH', class: 'terminal' });
  t.match(await fails('http', { spec: { endpoint: `${repository.httpUrl}/nothing` } }), { code: 'KOL_SINK_AUTH', message: /there is no such repository/ });
  t.match(await fails('ssh', { secret: { 'ssh-privatekey': git.otherSshKey } }), { code: 'KOL_SINK_AUTH', class: 'terminal' });
  t.match(await fails('ssh', { secret: { known_hosts: git.wrongKnownHosts } }), { code: 'KOL_SINK_CONFIG', message: /known_hosts/ });
  t.match(await fails('https', { spec: { endpoint: repository.httpsUrl.replace('127.0.0.1', 'localhost') } }), { code: 'KOL_SINK_CONFIG', message: /certificate of the server/ });
  t.match(await fails('http', { spec: { endpoint: 'http://127.0.0.1:1/r.git' } }), { code: 'KOL_SINK_UNAVAILABLE', message: /nothing listens there|cannot be reached/ });
  t.match(await fails('http', { spec: { provisioning: { mode: 'existing' } } }), { code: 'KOL_SINK_SCHEMA', message: /branch "main" of .* does not exist/ });
  await repository.feed('commit refs/heads/kept/below\ncommitter someone <someone@example.com> 0 +0000\ndata 0\n', 'fast-import', '--quiet');
  t.match(await fails('http', { spec: { git: { branch: 'kept' } } }), { code: 'KOL_SINK_CONFIG', message: /there is no room for the branch "kept" beside "kept\/below"/ });
  git.intercept((_request, response) => {
    response.writeHead(302, { location: `http://127.0.0.1:${git.ports.http}/elsewhere.git` }).end();
    return true;
  });
  const redirected = await fails('http', {});
  git.intercept(undefined);
  t.match(redirected, { code: 'KOL_SINK_CONFIG', message: /redirects/ });
});

t.test('mirrors and keys lie in folders of their own, and nothing is left of them', async (t) => {
  const repository = await git.createRepository();
  const connection = await connect(t, repository, 'ssh');
  await connection.branch.write(write({ x: '1' }), signal);
  t.ok(readdirSync(root).length > 0);
  const key = readdirSync(root).find((name) => name.startsWith('access-'));
  t.match(await readFile(join(root, key ?? '', 'key'), 'utf8'), /BEGIN OPENSSH PRIVATE KEY/);
  await connection.close();
  t.notOk(existsSync(join(root, key ?? '', 'key')));
});

t.test('trailers tell what a branch holds, until somebody else commits', (t) => {
  const values = { cluster: 'default', namespace: 'team-a', name: 'shop', generation: 3, itemCount: 2, checksum: 'abcdef0123456789', exportedAt: new Date(0), sink: 'team-a/git', path: 'inventory/team-a/shop.yaml' };
  const templates = { subject: undefined, body: undefined, trailers: ['Signed-off-by: {sink} <k@example.com>'] };
  const named = (...names: string[]) => ({ count: names.length, names });
  const changes = { added: named('Pod a'), changed: named(...Array.from({ length: 12 }, (_, index) => `Pod c${index}`)), removed: named() };
  const message = commitMessage(templates, values, changes, 'default/team-a/shop', { after: { digest: 'd1', rows: 2 }, installation: 'ours' });
  t.matchOnlyStrict(
    message,
    `chore(default/team-a/shop): export 2 items @ abcdef012345

1 added, 12 changed

added:
- Pod a

changed:
${Array.from({ length: 10 }, (_, index) => `- Pod c${index}\n`).join('')}- and 2 more

Signed-off-by: team-a/git <k@example.com>
Kollect-Inventory: default/team-a/shop
Kollect-Installation: ours
Kollect-Digest: d1
Kollect-Rows: 2
`,
  );
  const other = { id: '2', message: commitMessage(templates, values, changes, 'default/team-a/other', { after: undefined, installation: undefined }) };
  t.strictSame(snapshotIn([other, { id: '1', message }], 'default/team-a/shop'), { after: { digest: 'd1', rows: 2 }, installation: 'ours' });
  t.strictSame(snapshotIn([other], 'default/team-a/other'), { after: undefined, installation: undefined });
  t.equal(snapshotIn([{ id: '3', message: 'fix typo\n' }, { id: '1', message }], 'default/team-a/shop'), undefined);
  t.match(commitMessage({ subject: '{name} {path} {unknown}', body: 'at {exportedAt}', trailers: [] }, values, changes, 'k', { after: undefined, installation: undefined }), 'shop inventory/team-a/shop.yaml {unknown}\n\nat 1970-01-01T00:00:00.000Z\n\nKollect-Inventory: k\n');
  t.end();
});
