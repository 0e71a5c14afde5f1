import { join } from 'node:path';
import type { Git, GitRepository } from '../servers/git/index.ts';
import { plainEnvironment } from '../servers/keeper.ts';
import { runCommand } from '../servers/run-command.ts';

/** A bare clone with an index, and the commands of git that write a single file and push it. */
export class PlainGit {
  readonly #folder: string;
  readonly #url: string;
  #tip = '';

  private constructor(folder: string, url: string) {
    this.#folder = folder;
    this.#url = url;
  }

  /** @param folder that does not exist yet */
  static async clone({ httpUrl }: GitRepository, folder: string, { user, password }: Git): Promise<PlainGit> {
    const plain = new PlainGit(folder, httpUrl.replace('://', `://${user}:${password}@`));
    await plain.#run('', 'clone', '--quiet', '--bare', '--depth=1', plain.#url, folder);
    plain.#tip = await plain.#run('', 'rev-parse', 'main');
    await plain.#run('', 'read-tree', plain.#tip);
    return plain;
  }

  async write(path: string, content: string): Promise<void> {
    const blob = await this.#run(content, 'hash-object', '-w', '--stdin');
    await this.#run('', 'update-index', '--add', '--cacheinfo', `100644,${blob},${path}`);
    const tree = await this.#run('', 'write-tree');
    const commit = await this.#run('', 'commit-tree', '-p', this.#tip, '-m', 'change', tree);
    await this.#run('', 'push', '--quiet', this.#url, `${commit}:refs/heads/main`);
    this.#tip = commit;
  }

  async #run(stdin: string, ...args: string[]): Promise<string> {
    const author = { GIT_AUTHOR_NAME: 'plain', GIT_AUTHOR_EMAIL: 'plain@example.com', GIT_COMMITTER_NAME: 'plain', GIT_COMMITTER_EMAIL: 'plain@example.com' };
    const place = args[0] === 'clone' ? {} : { GIT_DIR: this.#folder, GIT_INDEX_FILE: join(this.#folder, 'index') };
    const { code, stdout, stderr } = await runCommand('git', args, { stdin, env: { ...plainEnvironment(), ...author, ...place, LC_ALL: 'C', GIT_CONFIG_GLOBAL: '/dev/null', HOME: this.#folder } });
    if (code !== 0) throw new Error(`git ${args[0]} ended with ${code}: ${stderr}`);
    return stdout.trim();
  }
}
