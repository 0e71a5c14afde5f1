import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { kinds } from '../../shared/api/kinds.ts';
import { installCrds, installLaxCrds, installPolicies, webhookProcess } from '../kollect/installation.ts';
import { registerWebhook } from '../kollect/registration.ts';
import { startCluster } from '../servers/cluster.ts';
import type { KubernetesObject } from './harness.ts';

// The ways in which people change objects with kubectl, and what they see.

const cluster = await startCluster();
t.teardown(() => cluster.stop());
const { kubectl } = cluster;
const webhook = await webhookProcess(cluster.keeper);
const folder = t.testdir({});

const inventory = (name: string, spec: object, metadata: object = {}) => ({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name, namespace: 'default', ...metadata }, spec });
const run = (args: readonly string[], object?: object) => kubectl(args, object === undefined ? {} : { stdin: JSON.stringify(object) });
const stored = async (name: string) => JSON.parse((await kubectl(['get', 'kinv', name, '-n', 'default', '--output=json'])).stdout) as KubernetesObject;
const slash = /spec\.databaseSinkRefs\[0\]\.name: Invalid value: "other\/pg": write only a name such as "pg"/;

// What an earlier version without these rules has let in.
await installLaxCrds(kubectl);
for (const name of ['annotated', 'changed', 'released', 'untouched']) {
  const created = await run(['create', '-f', '-'], inventory(name, { databaseSinkRefs: ['other/pg'] }, { finalizers: ['kollect.dev/inventory-cleanup'] }));
  if (created.code !== 0) throw new Error(created.stderr);
}
await installCrds(kubectl);
await installPolicies(kubectl);
await webhook.start();
await registerWebhook(kubectl, webhook);

t.test('create, apply, replace, patch and edit are all judged, and say the same', async (t) => {
  const good = inventory('flows', { databaseSinkRefs: ['pg'] });
  const bad = inventory('flows', { databaseSinkRefs: ['other/pg'] });
  t.match(await run(['create', '-f', '-'], { ...bad, metadata: { ...bad.metadata, name: 'never' } }), { code: 1, stderr: slash });
  t.match(await run(['create', '-f', '-'], good), { code: 0, stdout: /created/ });
  t.match(await run(['create', '-f', '-'], good), { code: 1, stderr: /AlreadyExists/ });
  const patch = (type: string, body: unknown) => run(['patch', 'kinv', 'flows', '-n', 'default', `--type=${type}`, '-p', JSON.stringify(body)]);
  const refused: Record<string, ReturnType<typeof run>> = {
    apply: run(['apply', '-f', '-'], bad),
    'apply --server-side': run(['apply', '--server-side', '--force-conflicts', '-f', '-'], bad),
    replace: run(['replace', '-f', '-'], bad),
    'merge patch': patch('merge', { spec: bad.spec }),
    'JSON patch': patch('json', [{ op: 'replace', path: '/spec/databaseSinkRefs/0', value: 'other/pg' }]),
    edit: edit('flows', 's#name: pg#name: other/pg#'),
  };
  for (const [how, answer] of Object.entries(refused)) {
    const { code, stdout, stderr } = await answer;
    t.not(code, 0, `${how} fails`);
    t.match(stdout + stderr, slash, `${how} says what to write`);
  }
  t.match((await stored('flows')).spec, { databaseSinkRefs: [{ name: 'pg' }] }, 'nothing came through');
  t.match(await edit('flows', 's#name: pg#name: other#'), { code: 0, stdout: /edited/ });
  t.match((await stored('flows')).spec, { databaseSinkRefs: [{ name: 'other' }] });
});

t.test('references as strings can be applied again and again, by either way of applying', async (t) => {
  const strings = (name: string) => inventory(name, { databaseSinkRefs: ['pg'], snapshotSinkRefs: ['git', { name: 's3', exportMinInterval: '1h' }] });
  for (const [name, ...flags] of [['client'], ['server', '--server-side'], ['flux', '--server-side', '--field-manager=flux']] as const) {
    t.match(await run(['apply', ...flags, '-f', '-'], strings(name)), { code: 0 }, `${name}: first`);
    const { metadata } = await stored(name);
    t.match(await run(['apply', ...flags, '-f', '-'], strings(name)), { code: 0 }, `${name}: again`);
    t.equal((await stored(name)).metadata.resourceVersion, metadata.resourceVersion, `${name}: nothing was written`);
    t.match(await run(['diff', ...flags, '-f', '-'], strings(name)), { code: 0, stdout: '' }, `${name}: no difference`);
    t.match(await run(['diff', ...flags, '-f', '-'], inventory(name, { databaseSinkRefs: ['pg2'] })), { code: 1, stdout: /\+ +- name: pg2/ }, `${name}: a difference is shown`);
  }
});

t.test('going over to server-side apply needs force once when references are strings, as for every field that an admission webhook completes', async (t) => {
  t.match(await run(['apply', '-f', '-'], inventory('moving', { databaseSinkRefs: ['pg'] })), { code: 0 });
  t.match(await run(['apply', '--server-side', '-f', '-'], inventory('moving', { databaseSinkRefs: ['pg'] })), { code: 1, stderr: /conflict with "kubectl-client-side-apply".*: \.spec\.databaseSinkRefs/s });
  t.match(await run(['apply', '--server-side', '--force-conflicts', '-f', '-'], inventory('moving', { databaseSinkRefs: ['pg'] })), { code: 0 });
  t.match(await run(['apply', '--server-side', '-f', '-'], inventory('moving', { databaseSinkRefs: ['pg'] })), { code: 0 }, 'from then on it is not needed');
  t.match(await run(['apply', '-f', '-'], inventory('written-out', { databaseSinkRefs: [{ name: 'pg' }] })), { code: 0 });
  t.match(await run(['apply', '--server-side', '-f', '-'], inventory('written-out', { databaseSinkRefs: [{ name: 'pg' }] })), { code: 0 }, 'nor when they are written as objects');
});

t.test('a generated name', async (t) => {
  const generated = (spec: object) => ({ ...inventory('', spec), metadata: { generateName: 'nightly-', namespace: 'default' } });
  t.match(await run(['create', '-f', '-'], generated({})), { code: 0, stdout: /nightly-\w+ created/ });
  t.match(await run(['create', '-f', '-'], generated({ databaseSinkRefs: ['other/pg'] })), { code: 1, stderr: slash });
});

t.test('what an earlier version let in can be annotated, labelled and given its status, and says what is wrong', async (t) => {
  const annotated = await run(['annotate', 'kinv', 'annotated', '-n', 'default', 'kollect.dev/reconcile=1']);
  t.match(annotated, { code: 0, stdout: /annotated/, stderr: /Warning: spec\.databaseSinkRefs\[0\]\.name: Invalid value: "other\/pg"/ });
  t.match(await run(['label', 'kinv', 'annotated', '-n', 'default', 'team=a']), { code: 0 });
  t.match(await run(['patch', 'kinv', 'annotated', '-n', 'default', '--subresource=status', '--type=merge', '-p', '{"status":{"itemCount":1}}']), { code: 0 });
  t.match(await run(['patch', 'kinv', 'changed', '-n', 'default', '--type=merge', '-p', '{"spec":{"suspend":true}}']), { code: 1, stderr: slash }, 'but a change of the spec has to mend it');
  t.match(await run(['patch', 'kinv', 'changed', '-n', 'default', '--type=merge', '-p', '{"spec":{"suspend":true,"databaseSinkRefs":["pg"]}}']), { code: 0 });
});

t.test('it can be deleted, and its finalizer removed', async (t) => {
  t.match(await run(['patch', 'kinv', 'released', '-n', 'default', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']), { code: 0 }, 'before it is deleted');
  t.match(await run(['delete', 'kinv', 'released', '-n', 'default']), { code: 0 });
  t.match(await run(['delete', 'kinv', 'untouched', '-n', 'default', '--wait=false']), { code: 0 });
  t.match(await run(['patch', 'kinv', 'untouched', '-n', 'default', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']), { code: 0 }, 'and while it is being deleted');
  t.match(await run(['get', 'kinv', 'untouched', '-n', 'default']), { code: 1, stderr: /NotFound/ });
});

t.test('--dry-run=server is the same judgement, and stores nothing', async (t) => {
  t.match(await run(['apply', '--dry-run=server', '-f', '-'], inventory('dry', { databaseSinkRefs: ['other/pg'] })), { code: 1, stderr: slash });
  const { code, stdout } = await run(['apply', '--dry-run=server', '--output=json', '-f', '-'], inventory('dry', { databaseSinkRefs: ['pg'] }));
  t.equal(code, 0);
  t.match(JSON.parse(stdout), { spec: { databaseSinkRefs: [{ name: 'pg' }], exportMinInterval: '30s' } }, 'what would be stored is shown');
  t.match(await run(['get', 'kinv', 'dry', '-n', 'default']), { code: 1, stderr: /NotFound/ });
});

t.test('kubectl explain knows every kind, down to its fields', async (t) => {
  for (const { plural, kind, description } of kinds) {
    const { code, stdout } = await run(['explain', `${plural}.spec`]);
    t.equal(code, 0, kind);
    t.match(stdout, new RegExp(`KIND: +${kind}\\n`));
    t.notMatch(stdout, /<no description>|<empty>/, `${kind}: every field says what it is for`);
    t.match((await run(['explain', plural])).stdout.replaceAll(/\s+/g, ' '), description, kind);
  }
  t.match((await run(['explain', 'kinv.spec.databaseSinkRefs'])).stdout.replaceAll(/\s+/g, ' '), /names of database sinks, or objects/);
});

t.test('columns show what was stored', async (t) => {
  const lines = (await run(['get', 'kinv', 'annotated', '-n', 'default'])).stdout.trim().split('\n').map((line) => line.split(/\s{2,}/));
  t.match(lines, [['NAME', 'ITEMS', 'SYNCED', 'READY', 'LAST EXPORT', 'AGE'], ['annotated', '1']]);
});

/** `kubectl edit` with an editor that makes one change, and leaves what it is shown again because of a mistake. */
async function edit(name: string, change: string) {
  const [editor, shown] = [join(folder, 'editor.sh'), join(folder, 'shown.yaml')];
  writeFileSync(editor, `#!/bin/sh\ncp "$1" ${shown}\nsed -i '${change}' "$1"\n`, { mode: 0o755 });
  // It keeps a copy of what was refused in the folder for temporary files.
  Object.assign(process.env, { KUBE_EDITOR: editor, TMPDIR: folder });
  const answer = await run(['edit', 'kinv', name, '-n', 'default']);
  return { ...answer, stderr: answer.stderr + readFileSync(shown, 'utf8') };
}
