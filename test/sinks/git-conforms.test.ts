import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startGit } from '../servers/git/index.ts';
import { canary } from './conformance.ts';
import { filesConform } from './files-conformance.ts';
import { commitFile, filesOf, openGit, type OpenGitOptions } from './git-place.ts';

const mirrors = mkdtempSync(join(tmpdir(), 'kollect-mirrors-'));
process.env['KOLLECT_GIT_MIRROR_DIR'] = mirrors;
const git = await startGit({ password: canary });
t.teardown(async () => {
  await git.stop();
  rmSync(mirrors, { recursive: true, force: true });
});

for (const protocol of ['http', 'ssh'] as const) {
  filesConform({
    name: `git over ${protocol}`,
    place: async () => {
      const repository = await git.createRepository({ filters: protocol === 'ssh' });
      return {
        open: async (spec, options) => (await openGit(git, repository, protocol, { spec: spec as OpenGitOptions['spec'], ...options })).sink,
        files: () => filesOf(repository),
        put: (path, text) => commitFile(repository, path, text),
      };
    },
  });
}
