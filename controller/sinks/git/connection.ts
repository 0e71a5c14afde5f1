import { createHash } from 'node:crypto';
import type { Dialer } from '../contract.ts';
import { Branch } from './branch.ts';
import { Mirror, mirrorRoot } from './mirror.ts';
import { Remote } from './remote.ts';
import type { GitSinkSettings } from './settings.ts';

/** One branch of one repository with one login, for all sinks that write to it. */
export class Connection {
  readonly mirror: Mirror;
  readonly branch: Branch;
  readonly #remote: Remote;

  /** @param root private folder of all mirrors */
  constructor(settings: GitSinkSettings, dialer: Dialer, root = mirrorRoot()) {
    const { title, branch } = settings;
    const prefix = `${createHash('sha256').update(`${title}\0${branch}`).digest('hex').slice(0, 32)}-`;
    this.#remote = new Remote(settings, dialer, root);
    this.mirror = new Mirror(settings, this.#remote, root, prefix);
    this.branch = new Branch(this.mirror, { spoolFolder: root, title: `branch ${JSON.stringify(branch)} of ${title}`, mustExist: settings.mustExist });
  }

  async close(): Promise<void> {
    await this.branch.close();
    await this.#remote.close();
  }
}
