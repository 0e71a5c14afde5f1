import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadConnection } from '../../shared/kube/config.ts';

const secret = 'canary-0123456789';

/** A kubeconfig with one context; JSON is YAML. */
function kubeconfig(cluster: object, user: object, more: object = {}): string {
  return JSON.stringify({
    clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443/', ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'team-a' } }],
    'current-context': 'x',
    ...more,
  });
}

t.test('a kubeconfig gives server, authority, certificate, token and namespace', async (t) => {
  const folder = t.testdir({
    config: kubeconfig(
      { 'certificate-authority': 'ca.crt', 'tls-server-name': 'kubernetes' },
      { 'client-certificate-data': Buffer.from('CERT').toString('base64'), 'client-key': 'user.key', tokenFile: 'token' },
    ),
    'ca.crt': 'CA',
    'user.key': 'KEY',
    token: `${secret}\n`,
  });
  const connection = await loadConnection({ kubeconfig: join(folder, 'config') });
  t.match(connection, {
    server: 'https://10.0.0.1:6443',
    ca: 'CA',
    serverName: 'kubernetes',
    insecureSkipTlsVerify: false,
    clientCertificate: { cert: 'CERT', key: 'KEY' },
    namespace: 'team-a',
  });
  t.equal(await connection.token?.(), secret);
  writeFileSync(join(folder, 'token'), 'renewed');
  t.equal(await connection.token?.(), 'renewed', 'the file is read again');
});

t.test('several files are one, and the first to name a thing counts', async (t) => {
  const folder = t.testdir({
    one: JSON.stringify({ 'current-context': 'x', users: [{ name: 'u', user: { token: 'first' } }] }),
    sub: { two: kubeconfig({ 'certificate-authority': 'ca.crt' }, { token: 'second' }, { 'current-context': 'other' }), 'ca.crt': 'CA' },
  });
  const files = [join(folder, 'one'), join(folder, 'absent'), join(folder, 'sub', 'two')];
  const connection = await loadConnection({ environment: { KUBECONFIG: files.join(':') } });
  t.match(connection, { server: 'https://10.0.0.1:6443', ca: 'CA' }, 'paths are relative to their own file');
  t.equal(await connection.token?.(), 'first');
});

t.test('a pod uses its service account, unless a kubeconfig is named', async (t) => {
  const serviceAccount = t.testdir({ token: secret, 'ca.crt': 'CA', namespace: 'kollect-system\n' });
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
  const connection = await loadConnection({ environment, serviceAccount });
  t.match(connection, { server: 'https://[fd00::1]:6443', ca: 'CA', namespace: 'kollect-system' });
  t.equal(await connection.token?.(), secret);

  const file = join(serviceAccount, 'config');
  writeFileSync(file, kubeconfig({}, { token: 'other' }));
  t.match(await loadConnection({ environment, serviceAccount, kubeconfig: file }), { server: 'https://10.0.0.1:6443' });
  t.match(await loadConnection({ environment: { ...environment, KUBECONFIG: file }, serviceAccount }), { server: 'https://10.0.0.1:6443' });
  await t.rejects(loadConnection({ environment, serviceAccount: join(serviceAccount, 'absent') }), {
    code: 'KOL_CONFIG_KUBECONFIG',
    message: /ca\.crt.*automountServiceAccountToken/,
  });
});

t.test('what cannot be used is named, and no credential with it', async (t) => {
  const cases: [name: string, content: string, message: RegExp][] = [
    ['no YAML', `users: [{ token: ${secret}`, /config: not readable as YAML/],
    ['no context', '{}', /no current-context is set/],
    ['an unknown context', kubeconfig({}, {}, { 'current-context': 'nope' }), /no entry "nope" in contexts/],
    ['an unknown user', kubeconfig({}, {}, { users: [] }), /no entry "u" in users/],
    ['no server', kubeconfig({ server: 7 }, { token: secret }), /cluster "c"\.server/],
    ['a token that is no text', kubeconfig({}, { token: { is: secret } }), /user "u"\.token/],
    ['half a certificate', kubeconfig({}, { 'client-key-data': Buffer.from(secret).toString('base64') }), /needs client-certificate and client-key/],
    ['an absent authority', kubeconfig({ 'certificate-authority': 'absent.crt' }, { token: secret }), /certificate-authority: .*absent\.crt/],
    ['a proxy', kubeconfig({ 'proxy-url': 'http://proxy:3128' }, {}), /proxy-url of cluster "c" is not supported/],
    ['impersonation', kubeconfig({}, { as: 'jane' }), /impersonation/],
  ];
  const folder = t.testdir({});
  for (const [name, content, message] of cases) {
    const file = join(folder, 'config');
    writeFileSync(file, content);
    const error = await loadConnection({ kubeconfig: file }).then(() => undefined, (reason: Error & { code: string }) => reason);
    t.equal(error?.code, 'KOL_CONFIG_KUBECONFIG', name);
    t.match(error?.message, message, name);
    t.notMatch(error?.message, secret, name);
  }
});

t.test('a credential plugin gives the token, and is run again when it is refused', async (t) => {
  const folder = t.testdir({});
  mkdirSync(join(folder, 'runs'));
  const plugin = join(folder, 'plugin');
  const credential = `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"token-'$n'"}}`;
  writeFileSync(plugin, `#!/bin/sh\ntouch ${folder}/runs/$$\nn=$(ls ${folder}/runs | wc -l)\necho '${credential}'\n`);
  chmodSync(plugin, 0o755);
  const file = join(folder, 'config');
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, interactiveMode: 'Never' };
  writeFileSync(file, kubeconfig({}, { exec }));
  const { token } = await loadConnection({ kubeconfig: file });
  t.equal(await token?.(), 'token-1');
  t.equal(await token?.(), 'token-1', 'what it said holds until it expires');
  t.equal(await token?.(true), 'token-2');

  writeFileSync(plugin, `#!/bin/sh\necho '{"token":"${secret}'\n`);
  const chatty = await loadConnection({ kubeconfig: file }).catch((error: Error) => error);
  t.match(chatty, { code: 'KOL_CONFIG_KUBECONFIG', message: /no JSON/ });
  t.notMatch((chatty as Error).stack, 'canary');
  writeFileSync(file, kubeconfig({}, { exec: { ...exec, command: join(folder, 'absent') } }));
  await t.rejects(loadConnection({ kubeconfig: file }), { code: 'KOL_CONFIG_KUBECONFIG', message: /credential plugin/ });
});
