import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { Git, GitRepository } from '../servers/git/index.ts';
import { commitFile, filesOf } from '../sinks/git-place.ts';
import type { Random } from './random.ts';
import { comesTrue, elsewhere, here, rowOf, SinkPlace, type NamedStrike, type PlaceOptions } from './sink-place.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** One file for each inventory, or one for each row. */
export type GitLayout = 'document' | 'perResource';

interface GitPlaceOptions {
  git: Git;
  admin: KubeClient;
  random: Random;
  canary: string;
  layout: GitLayout;
  /** Folders of the mirrors of all controllers. */
  mirrors: readonly string[];
}

/** In place of that of the repository, to all or to pushes only. */
interface Answer {
  code: number;
  headers?: Record<string, string>;
  isOfPushes?: boolean;
}

const paths = {
  pathTemplate: 'documents/{cluster}/{namespace}/{name}{extension}',
  row: 'trees/{cluster}/{namespace}/{name}/{targetName}/{sourceNamespace}/{kind}/{sourceName}{extension}',
  index: 'trees/{cluster}/{namespace}/{name}{extension}',
};
/** Nothing of ours may ever touch it. */
const foreign = `inventory of ${elsewhere}`;

/** A repository with a branch that others write to as well. */
export class GitPlace extends SinkPlace {
  readonly family = { plural: 'kollectsnapshotsinks', kind: 'KollectSnapshotSink', refs: 'snapshotSinkRefs' } as const;
  readonly #git: Git;
  readonly #repository: GitRepository;
  readonly #canary: string;
  readonly #layout: GitLayout;
  readonly #mirrors: readonly string[];
  #passwords = 0;
  #commits = 0;
  #answer: Answer | undefined;
  /** Requests that were answered in place of the repository. */
  #answered = 0;
  /** Happens before the request that begins a push, or the one that carries it out. */
  #before: { step: 'begin' | 'push'; work: () => Promise<unknown> } | undefined;

  static async start(name: string, options: GitPlaceOptions): Promise<GitPlace> {
    const { git, admin, random, layout } = options;
    const repository = await git.createRepository({ filters: layout === 'perResource' });
    const proxy = await new TcpProxy(git.ports.http, '/git-receive-pack HTTP/').start();
    const place = new GitPlace({ name, admin, random, proxy }, repository, options);
    for (const path of [`documents/${elsewhere}/home/inventory.json`, `trees/${elsewhere}/home/inventory.manifest.json`]) await commitFile(repository, path, foreign);
    await place.createSink();
    return place;
  }

  private constructor(options: PlaceOptions, repository: GitRepository, { git, canary, layout, mirrors }: GitPlaceOptions) {
    super(options);
    this.#git = git;
    this.#repository = repository;
    this.#canary = canary;
    this.#layout = layout;
    this.#mirrors = mirrors;
  }

  /** Looks at a request first. True: it was answered. */
  async intercept(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = request.url ?? '';
    if (!url.startsWith(`/${this.#repository.name}/`)) return false;
    const isBegin = url.endsWith('service=git-receive-pack');
    const isPush = url.endsWith('/git-receive-pack');
    const answer = this.#answer;
    const refuse = (code: number, headers: Record<string, string> = {}): true => {
      response.writeHead(code, headers).end('refused\n');
      return true;
    };
    if (answer && (!answer.isOfPushes || isPush || isBegin)) {
      this.#answered++;
      return refuse(answer.code, answer.headers);
    }
    if (request.headers.authorization !== basic(this.#git.user, this.#password)) {
      this.#answered++;
      return refuse(401, { 'www-authenticate': 'Basic realm="git"' });
    }
    request.headers.authorization = basic(this.#git.user, this.#git.password);
    const before = this.#before;
    if (before && (before.step === 'begin' ? isBegin : isPush)) {
      this.#before = undefined;
      await before.work();
    }
    return false;
  }

  get harmless(): readonly NamedStrike[] {
    return [
      ['a git server that refuses connections', () => this.refuse()],
      ['a push that is cut off', () => this.breakCommit('cut')],
      ['a push that is not answered', () => this.#unanswered()],
      ['a push that is lost', () => this.breakCommit('drop')],
      ['a push that arrives late', () => this.late()],
      ['a push whose answer is lost', () => this.#loseAnswer()],
      ['connections to a git server that are reset', () => comesTrue(() => this.proxy.cut() > 0)],
      ['connections to a git server that drip', () => this.drip()],
      ['connections to a git server that fall silent', () => this.silence()],
      ['a git server that fails', () => this.#answerWith({ code: 500 })],
      ['a git server that is too busy', () => this.#answerWith({ code: 429, headers: { 'retry-after': '1' } })],
      ['a repository that is not found', () => this.#answerWith({ code: 404 })],
      ['a right to push that is lost', () => this.#answerWith({ code: 403, isOfPushes: true })],
      ['a password of git that is rotated', () => this.#rotatePassword()],
      ['a hook that declines a push', () => this.#decline()],
      ['a push that is too large', () => this.#tooLarge()],
      ['a branch that is locked', () => this.#lock()],
      ['somebody who pushes before us', () => this.#pushBetween('begin')],
      ['somebody who pushes while we do', () => this.#pushBetween('push')],
      ['a history that somebody makes one commit', () => this.#squash()],
      ['a repository that is repacked', () => this.#done('gc', '--quiet', '--no-prune')],
      ['a mirror that vanishes', () => this.#inMirrors((file) => rm(file, { force: true }), 1)],
      ['a mirror that is damaged', () => this.#inMirrors((file) => truncate(file, 3), 0.1)],
    ];
  }

  get destructive(): readonly NamedStrike[] {
    return [
      ['a branch that is deleted', () => this.#moveBranch(undefined)],
      ['a branch that is set back', () => this.#setBack()],
      ['files that somebody deletes', () => this.#changeFiles(() => undefined)],
      ['files that somebody changes', () => this.#changeFiles((text) => text.replace(/"name"/, '"mane"'))],
    ];
  }

  async rows(): Promise<string[]> {
    const files = Object.entries(await filesOf(this.#repository)).map(([path, latin1]) => [path, Buffer.from(latin1, 'latin1').toString()] as const);
    const rows: string[] = [];
    const listed = new Set<string>();
    const found = new Set<string>();
    for (const [path, text] of files) {
      const [root, cluster, namespace, name = '', ...rest] = path.split('/');
      if (cluster !== here) continue;
      if (root === 'documents') {
        const { items } = JSON.parse(text) as { items: object[] };
        rows.push(...items.map((item) => rowOf(`${namespace}/${name.replace(/\.json$/, '')}`, item)));
      } else if (rest.length === 0) for (const one of (JSON.parse(text) as { paths: string[] }).paths) listed.add(one);
      else {
        found.add(path);
        rows.push(rowOf(`${namespace}/${name}`, JSON.parse(text)));
      }
    }
    // What a manifest does not list is nobody's, and what it lists must be there.
    return [...rows, ...[...listed.symmetricDifference(found)].map((path) => `file ${path}`)].sort();
  }

  edit(): object {
    return { git: { commitTrailers: [`Edit: ${this.random.below(100)}`] } };
  }

  /** All that was ever pushed, as text: commits, their messages, and what they changed. */
  async history(): Promise<string> {
    return await this.#repository.git('log', '--all', '-p', '--format=%H %an %ae%n%B');
  }

  /** Paths below one that commits of the controllers removed, or touched in any way. */
  async touched(path: string, how: 'removed' | 'any'): Promise<string[]> {
    const text = await this.#repository.git('log', '--all', '--author=kollect@kollect.dev', '--format=', '--name-only', '--no-renames', ...(how === 'removed' ? ['--diff-filter=D'] : []), '--', path);
    return text.split('\n').filter((line) => line !== '');
  }

  protected get spec(): object {
    const ofTree = { layout: { mode: 'perResource', pathTemplate: paths.row, index: { pathTemplate: paths.index } } };
    return {
      type: 'git',
      endpoint: `http://127.0.0.1:${this.proxy.port}/${this.#repository.name}`,
      secretRef: { name: this.name },
      serialization: { format: 'json' },
      ...(this.#layout === 'document' ? { pathTemplate: paths.pathTemplate, layout: { mode: 'document' } } : ofTree),
    };
  }

  protected get secret(): Record<string, string> {
    return { username: this.#git.user, password: this.#password };
  }

  get #password(): string {
    return `${this.#canary}-${this.#passwords}`;
  }

  async #unanswered(): Promise<boolean> {
    const came = await this.breakCommit('silence');
    await this.moment(3_000);
    this.proxy.cut();
    return came;
  }

  async #loseAnswer(): Promise<boolean> {
    const before = this.#repository.pushes();
    this.#repository.loseAnswer('cut');
    const came = await comesTrue(() => this.#repository.pushes() > before);
    this.#repository.heal();
    return came;
  }

  async #answerWith(answer: Answer): Promise<boolean> {
    const before = this.#answered;
    this.#answer = answer;
    const came = await comesTrue(() => this.#answered > before);
    await this.moment(1_000);
    this.#answer = undefined;
    return came;
  }

  async #rotatePassword(): Promise<boolean> {
    const before = this.#answered;
    this.#passwords++;
    const came = await comesTrue(() => this.#answered > before);
    await this.updateSecret();
    return came;
  }

  async #decline(): Promise<boolean> {
    const before = this.proxy.commits;
    this.#repository.decline('not today');
    const came = await comesTrue(() => this.proxy.commits > before);
    await this.moment(1_000);
    this.#repository.decline(undefined);
    return came;
  }

  async #tooLarge(): Promise<boolean> {
    const before = this.proxy.commits;
    await this.#repository.git('config', 'receive.maxInputSize', '10');
    const came = await comesTrue(() => this.proxy.commits > before);
    await this.moment(1_000);
    await this.#repository.git('config', '--unset', 'receive.maxInputSize');
    return came;
  }

  async #lock(): Promise<boolean> {
    const file = join(this.#repository.folder, 'refs', 'heads', 'main.lock');
    const before = this.proxy.commits;
    await writeFile(file, '', { flag: 'wx' });
    const came = await comesTrue(() => this.proxy.commits > before);
    await this.moment(1_000);
    await rm(file);
    return came;
  }

  async #pushBetween(step: 'begin' | 'push'): Promise<boolean> {
    let isDone = false;
    const work = async (): Promise<void> => {
      await this.#commitOther();
      isDone = true;
    };
    this.#before = { step, work };
    const came = await comesTrue(() => isDone);
    this.#before = undefined;
    return came;
  }

  async #commitOther(): Promise<void> {
    await commitFile(this.#repository, `others/${this.random.below(20)}`, `${++this.#commits}`);
  }

  /** The files stay, and nothing tells any more whose they are. */
  async #squash(): Promise<boolean> {
    await this.#keepHistory();
    const tip = (await this.#repository.git('rev-parse', 'main')).trim();
    const commit = await this.#repository.git('-c', 'user.name=someone', '-c', 'user.email=someone@example.com', 'commit-tree', '-m', 'one commit', `${tip}^{tree}`);
    // Not where somebody has pushed in the meantime: nothing is compared later, and their push would be lost.
    return await this.#done('update-ref', 'refs/heads/main', commit.trim(), tip);
  }

  async #moveBranch(to: string | undefined): Promise<boolean> {
    await this.#keepHistory();
    return await this.#done('update-ref', ...(to === undefined ? ['-d', 'refs/heads/main'] : ['refs/heads/main', to]));
  }

  async #setBack(): Promise<boolean> {
    const earlier = (await this.#repository.git('rev-list', '--max-count=6', 'main~1')).trim().split('\n');
    return await this.#moveBranch(this.random.pick(earlier));
  }

  /** What is no longer on the branch is still looked at in the end. */
  async #keepHistory(): Promise<void> {
    await this.#repository.git('update-ref', `refs/kept/${++this.#commits}`, 'main');
  }

  /** Files of rows, not the lists of them: what no list names belongs to nobody. */
  async #changeFiles(change: (text: string) => string | undefined): Promise<boolean> {
    const files = Object.entries(await filesOf(this.#repository)).filter(([path]) => path.split('/')[1] === here && !path.endsWith('.manifest.json'));
    const chosen = this.#layout === 'document' ? [this.random.pick(files)] : files.filter(() => this.random.next() < 0.05);
    const commands = chosen.map(([path, latin1]) => {
      const text = change(Buffer.from(latin1, 'latin1').toString());
      return text === undefined ? `D ${path}\n` : `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`;
    });
    const head = `commit refs/heads/main\ncommitter someone <someone@example.com> ${Math.floor(Date.now() / 1_000)} +0000\ndata 7\nby hand\nfrom refs/heads/main^0\n`;
    await this.#repository.feed(`${head}${commands.join('')}`, 'fast-import', '--quiet');
    return chosen.length > 0;
  }

  async #done(...args: string[]): Promise<boolean> {
    await this.#repository.git(...args);
    return true;
  }

  /** Something happens to some files of the mirrors of a controller. */
  async #inMirrors(strike: (file: string) => Promise<void>, share: number): Promise<boolean> {
    const folder = this.random.pick(this.#mirrors);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && this.random.next() < share);
    for (const { parentPath, name } of files) await strike(join(parentPath, name)).catch(() => undefined);
    return files.length > 0;
  }
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
