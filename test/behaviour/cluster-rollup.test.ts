import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createInventoryDatabase } from '../sandbox/database.ts';
import { startGit } from '../servers/git/index.ts';
import { untilEstablished } from '../servers/kubernetes/established.ts';
import { startKollect } from './harness.ts';
import { applicationCrd } from './objects.ts';
import { administratorOf } from './shell.ts';
import { followPage } from './walkthrough.ts';

// The page is followed as it stands, on a cluster that has Kollect, the CRD of Argo CD, a database and a repository.

const git = await startGit({ password: 'example' });
t.teardown(() => git.stop());
const kollect = await startKollect({ test: t, mapHosts: [`git.example.com:443=127.0.0.1:${git.ports.https}`] });
const database = await createInventoryDatabase(kollect.postgres);
t.teardown(() => database.close());
const repository = await git.createRepository({ path: 'platform/inventory.git' });
const authority = join(kollect.cluster.folder, 'git-ca.crt');
writeFileSync(authority, git.caPem);
await kollect.apply(applicationCrd);
await untilEstablished(kollect.kubectl, ['applications.argoproj.io']);

t.test('every command of the page does what the page says', async (t) => {
  const login = new URL(repository.httpsUrl);
  Object.assign(login, { username: git.user, password: git.password });
  await followPage(t, 'docs/examples/cluster-rollup.md', kollect, { ...administratorOf(kollect.cluster), DSN: database.url, GIT_CA: authority, REPOSITORY: login.href, GIT_SSL_CAINFO: authority });
  const logs = kollect.controller.logs() + kollect.webhook.logs();
  t.notMatch(logs, /example@|kollect:example/, 'no log shows a login');
});
