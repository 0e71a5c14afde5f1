import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import t from 'tap';
import { local } from '../../controller/sinks/local/backend.ts';
import { Folder } from '../../controller/sinks/local/folder.ts';
import { openSink } from '../../controller/sinks/runtime/open-sink.ts';
import type { Backend } from '../../controller/sinks/contract.ts';
import { failure } from './conformance.ts';
import { filesConform, type Files } from './files-conformance.ts';

async function folder(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'kollect-local-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  return root;
}

async function filesOf(root: string): Promise<Files> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries.filter((entry) => !entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(await Promise.all(paths.map(async (path) => [relative(root, path), await readFile(path, 'latin1')])));
}

filesConform({
  name: 'local',
  place: async () => {
    const root = join(await folder(), 'out');
    return {
      open: async (spec, options) => {
        const sink = { kind: 'local', metadata: { name: 'out', namespace: 'team-a' }, spec: { ...spec, type: 'local', endpoint: root } };
        return (await openSink({ sink, readSecret: async () => ({}), policy: { allowPrivate: false, allowLoopback: false }, load: async () => local as Backend, ...options })).sink;
      },
      files: () => filesOf(root),
      put: async (path, text) => {
        await mkdir(dirname(join(root, path)), { recursive: true });
        await writeFile(join(root, path), text);
      },
    };
  },
});

t.test('nothing is written or removed outside of the folder, whatever a path or a link says', async (t) => {
  const root = await folder();
  const elsewhere = await folder();
  await writeFile(join(elsewhere, 'precious'), 'theirs');
  await mkdir(join(root, 'a'));
  await symlink(elsewhere, join(root, 'a', 'link'));
  const at = new Folder(root);
  const bytes = [Buffer.from('ours')];
  for (const path of ['../x', 'a/../../x', '/x', 'a//x', '.git/config', 'a/.GIT/hooks', '', 'a\\x']) {
    t.match(await failure(at.write(path, bytes)), { code: 'KOL_SINK_CONFIG', class: 'terminal' }, path);
    t.match(await failure(at.remove(path)), { code: 'KOL_SINK_CONFIG' }, path);
  }
  for (const path of ['a/link/new', 'a/link/deep/new', 'a/link/precious']) t.match(await failure(at.write(path, bytes)), { code: 'KOL_SINK_CONFIG' }, path);
  t.match(await failure(at.remove('a/link/precious')), { code: 'KOL_SINK_CONFIG' });
  t.strictSame(await filesOf(elsewhere), { precious: 'theirs' });
});

t.test('a file is the old one or the new one, and folders that are empty go', async (t) => {
  const at = new Folder(join(await folder(), 'new'));
  t.equal(await at.write('a/b/c', [Buffer.from('one'), Buffer.from('two')]), 6);
  t.equal(await at.write('a/b/c', [Buffer.from('onetwo')]), 0);
  async function* broken() {
    yield Buffer.from('half');
    throw new Error('no more');
  }
  t.equal((await failure(at.write('a/b/c', broken()))).code, 'KOL_SINK_UNAVAILABLE');
  t.strictSame(await filesOf(at.root), { 'a/b/c': 'onetwo' });
  t.equal(await at.write('a/d', [Buffer.from('x')]), 1);
  t.equal(await at.remove('a/b/c'), true);
  t.equal(await at.remove('a/b/c'), false);
  t.strictSame(await readdir(join(at.root, 'a')), ['d']);
  t.equal((await failure(at.write('a/d/e', [Buffer.from('x')]))).class, 'terminal', 'a file is where a folder should be');
});
