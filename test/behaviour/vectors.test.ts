import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { judgeVector } from '../admission/judge-vector.ts';
import { allVectors } from '../admission/vectors/all.ts';
import { secretWord, storedObject, vectorObject } from '../admission/vectors/vector.ts';
import type { Vector } from '../admission/vectors/vector.ts';
import { renderFinding } from '../../shared/admission/finding.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { installCrds, installLaxCrds, installPolicies, webhookProcess } from '../kollect/installation.ts';
import { isCalled, registerWebhook, registrationFor } from '../kollect/registration.ts';
import { webhookAccount } from '../kollect/service-account.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';

// Every vector as a user applies it: kubectl, a real API server with CRDs and webhooks, nothing stored.

const cluster = await startCluster();
t.teardown(() => cluster.stop());
const { kubectl } = cluster;
const webhook = await webhookProcess(cluster.keeper, { kubeconfig: await webhookAccount(cluster) });

const refused = vectorObject({ kind: 'KollectTarget', object: { metadata: { name: 'refused', namespace: 'default' }, spec: {} } });

/**
 * A vector as it is applied: under a name of its own, unless its name is what it is about or what surrounds it names it; an update in a namespace
 * of its own, so that what is stored says nothing about others.
 */
const cases = allVectors.map((vector, index) => {
  const name = `v${String(index).padStart(4, '0')}`;
  const { metadata = {} } = vector.object;
  const keepsName = 'name' in metadata || 'generateName' in metadata || JSON.stringify(vector.cluster ?? []).includes('"sample"');
  const isAlone = vector.old !== undefined && vector.cluster === undefined && !('namespace' in metadata);
  const placed = (object: KubeObject, more: object = {}): KubeObject => {
    const { namespace, annotations } = object.metadata;
    return { ...object, metadata: { ...object.metadata, ...(keepsName ? {} : { name }), ...(isAlone && namespace !== undefined ? { namespace: name } : {}), annotations: { ...annotations, ...more } } };
  };
  const old = storedObject(vector);
  // Without any change kubectl would not even ask.
  return { vector, file: `${name}.json`, object: placed(vectorObject(vector), old && { 'example.com/update': 'yes' }), old: old && placed(old) };
});
type Case = (typeof cases)[number];

await installLaxCrds(kubectl);
await Promise.all([apply(namespaces()), webhook.start()]);
for (const [what, round] of Map.groupBy(cases, roundOf)) {
  t.test(what, async (t) => {
    const lasting = round.filter(({ vector }) => vector.cluster === undefined);
    if (lasting.some(({ old }) => old !== undefined)) {
      await removeRules();
      await store(lasting);
      await installRules();
    }
    for (const [installation, group] of Map.groupBy(round, ({ vector }) => JSON.stringify(vector.installation ?? {}))) {
      await webhook.kill();
      await webhook.start(flags(group[0]?.vector));
      await eventually(() => isCalled(kubectl), { what: 'calls of the webhook with these flags' });
      const [alone, amongOthers] = [group.filter(({ vector }) => vector.cluster === undefined), group.filter(({ vector }) => vector.cluster !== undefined)];
      t.strictSame(await problemsOf(alone), [], `${alone.length} vectors, an installation with ${installation === '{}' ? 'no flags' : installation}`);
      for (const surrounded of Map.groupBy(amongOthers, ({ vector, old, file }) => (old === undefined ? JSON.stringify(vector.cluster) : file)).values()) {
        t.strictSame(await problemsWithin(surrounded), [], surrounded.map(({ vector }) => vector.name).join(', '));
      }
    }
    await remove(lasting.flatMap((one) => withStored(one)));
  });
}

/** A stored KollectClusterScope bounds and warns all others, so nothing else is judged beside it. */
function roundOf({ vector: { kind, old } }: Case): string {
  if (kind !== 'KollectClusterScope') return 'kinds that bound nobody, or only those of their namespace';
  return old === undefined ? 'cluster scopes' : 'cluster scopes that are changed';
}

async function removeRules(): Promise<void> {
  const { code, stderr } = await kubectl(['delete', '--ignore-not-found', '-f', '-'], { stdin: manifest(registrationFor(webhook) as KubeObject[]) });
  if (code !== 0) throw new Error(stderr);
  await installLaxCrds(kubectl);
  await eventually(async () => (await kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: manifest([refused]) })).code === 0, { what: 'no rule' });
}

async function installRules(): Promise<void> {
  await installCrds(kubectl);
  await installPolicies(kubectl);
  // The schemas act with a delay, too.
  await eventually(async () => (await kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: manifest([refused]) })).code !== 0, { what: 'rules' });
  await registerWebhook(kubectl, webhook);
}

/** Stores what updates are of; what is being deleted waits for its finalizers. */
async function store(group: readonly Case[]): Promise<void> {
  await apply(group.flatMap((one) => withStored(one)));
  const deleted = group.filter(({ object }) => object.metadata.deletionTimestamp !== undefined);
  if (deleted.length === 0) return;
  await done(kubectl(['delete', '--wait=false', '-f', '-'], { stdin: manifest(deleted.flatMap((one) => withStored(one))) }));
  // The time is the API server's to set.
  for (const { object } of deleted) delete object.metadata.deletionTimestamp;
}

/** What is being deleted is as bad as the request leaves it: that it cannot become worse is up to the CRD. */
function withStored({ vector, old, object }: Case): KubeObject[] {
  if (vector.object.metadata?.['deletionTimestamp'] === undefined) return old === undefined ? [] : [old];
  const { deletionTimestamp: _, ...metadata } = object.metadata;
  return [{ ...object, metadata: { ...metadata, finalizers: metadata.finalizers ?? ['example.com/held'] } }];
}

/** The same among other objects, which reach the webhook with a delay. */
async function problemsWithin(group: readonly Case[]): Promise<string[]> {
  const others = group[0]?.vector.cluster ?? [];
  await store(group);
  await apply(others);
  const problems = await eventually(async () => ((await problemsOf(group)).length === 0 ? [] : undefined), { timeoutMs: 20_000, intervalMs: 300 }).catch(() => problemsOf(group));
  await remove([...group.flatMap((one) => withStored(one)), ...others]);
  return problems;
}

/** What kubectl did that the vectors do not say. It sends some dozens of requests a second, so several share the work. */
async function problemsOf(group: readonly Case[]): Promise<string[]> {
  const slices = Array.from({ length: Math.ceil(group.length / 300) }, (_, index) => group.slice(index * 300, (index + 1) * 300));
  return (await Promise.all(slices.map((slice) => problemsOfSlice(slice)))).flat();
}

async function problemsOfSlice(group: readonly Case[]): Promise<string[]> {
  const { refusals, output, created } = await dryRun(group);
  const problems: string[] = [];
  const expect = (holds: boolean, { vector }: Case, what: string) => {
    if (!holds) problems.push(`${vector.name}: ${what}`);
  };
  for (const one of group) {
    const { errors = [], says = [], code = 422 } = one.vector;
    const refusal = refusals.get(one.file);
    if (errors.length === 0) {
      expect(refusal === undefined, one, `is refused: ${refusal}`);
      continue;
    }
    if (refusal === undefined) {
      problems.push(`${one.vector.name}: is admitted`);
      continue;
    }
    expect(refusal.includes(code === 403 ? '(Forbidden)' : '(Invalid)') || refusal.includes('strict decoding error'), one, `is refused as something else: ${refusal}`);
    const missing = errors.filter((field) => !refusal.includes(field));
    expect(missing.length === 0, one, `${missing.join(', ')} not in ${refusal}`);
    const text = `${refusal}\n${output}`;
    for (const said of says) expect(typeof said === 'string' ? text.includes(said) : said.test(text), one, `does not say ${String(said)}: ${refusal}`);
  }
  const admitted = group.filter(({ file }) => !refusals.has(file));
  if (created !== admitted.length) problems.push(`${admitted.length} are not refused, ${created} are created or configured`);
  if (output.includes(secretWord)) problems.push(`a credential is shown: ${output}`);
  problems.push(...warningProblems(group, output), ...(await storedProblems(admitted.filter(({ vector }) => vector.stored !== undefined))));
  return problems;
}

/**
 * kubectl prints each warning once, whichever object it is about: so all texts together are what is compared. The API server adds warnings of its
 * own about fields that stay as bad as they were.
 */
function warningProblems(group: readonly Case[], output: string): string[] {
  const cut = (text: string) => text.slice(0, 250);
  const printed = new Set([...output.matchAll(/^Warning: ((?:spec|metadata)\b.*)$/gm)].map(([, text = '']) => cut(text)));
  const expected = new Set(group.flatMap(({ vector }) => judgeVector(vector).findings.filter(({ severity }) => severity === 'warning').map((finding) => cut(renderFinding(finding)))));
  const fields = new Set(group.flatMap(({ vector }) => vector.warnings ?? []));
  return [...[...expected.difference(printed)].map((text) => `not warned: ${text}`), ...[...printed].filter((text) => !fields.has(text.slice(0, text.indexOf(': ')))).map((text) => `warned: ${text}`)];
}

async function storedProblems(group: readonly Case[]): Promise<string[]> {
  if (group.length === 0) return [];
  const { code, stdout, stderr } = await kubectl(['apply', '--dry-run=server', '--output=json', '-f', folderOf(group)]);
  if (code !== 0) return [stderr];
  const answer = JSON.parse(stdout) as KubeObject & { items?: KubeObject[] };
  const stored = answer.items ?? [answer];
  return group.flatMap(({ vector }, index) => {
    const spec = stored[index]?.['spec'];
    return isPart(vector.stored, spec) ? [] : [`${vector.name}: stored ${JSON.stringify(spec)}`];
  });
}

async function dryRun(group: readonly Case[]): Promise<{ refusals: Map<string, string>; created: number; output: string }> {
  // With one refusal only, kubectl would say it without the name of the file.
  const folder = folderOf([...group, { file: 'refused1.json', object: refused }, { file: 'refused2.json', object: refused }]);
  const { stdout, stderr } = await kubectl(['apply', '--dry-run=server', '-f', folder]);
  const refusals = new Map<string, string>();
  for (const error of stderr.split(/^(?=Error from server|The \S+ ")/m)) {
    const [, file] = /\/(v\d+\.json)": /.exec(error) ?? [];
    if (file !== undefined) refusals.set(file, error);
  }
  return { refusals, created: stdout.match(/ \(server dry run\)$/gm)?.length ?? 0, output: stdout + stderr };
}

/** A folder with a file for each: kubectl goes on after an error, and names the file in it. */
function folderOf(files: readonly { file: string; object: unknown }[]): string {
  const folder = mkdtempSync(join(cluster.folder, 'vectors-'));
  for (const { file, object } of files) writeFileSync(join(folder, file), JSON.stringify(object));
  return folder;
}

async function apply(objects: readonly KubeObject[]): Promise<void> {
  if (objects.length > 0) await done(kubectl(['apply', '-f', '-'], { stdin: manifest(objects) }));
}

/** Namespaces stay, without what was said about them: to end takes them long. */
async function remove(objects: readonly KubeObject[]): Promise<void> {
  const [kept, removed] = [objects.filter(({ kind }) => kind === 'Namespace'), objects.filter(({ kind }) => kind !== 'Namespace')];
  await apply(kept.map(({ apiVersion, kind, metadata: { name } }) => ({ apiVersion, kind, metadata: { name } })));
  if (removed.length === 0) return;
  const held = removed.filter(({ metadata }) => metadata.finalizers !== undefined);
  for (const { kind, metadata: { name, namespace = 'default' } } of held) await done(kubectl(['patch', kind, name, '-n', namespace, '--type=merge', '-p', '{"metadata":{"finalizers":null}}']));
  await done(kubectl(['delete', '--ignore-not-found', '--wait=false', '-f', '-'], { stdin: manifest(removed) }));
}

async function done(command: ReturnType<typeof kubectl>): Promise<void> {
  const { code, stderr } = await command;
  if (code !== 0) throw new Error(stderr);
}

function namespaces(): KubeObject[] {
  const names = cases.flatMap(({ vector, object }) => [object, refused, ...(vector.cluster ?? [])].map(({ metadata }) => metadata.namespace)).filter((name) => name !== 'default');
  return [...new Set(names)].filter((name) => name !== undefined).map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
}

function manifest(items: readonly KubeObject[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

function flags(vector: Vector | undefined): string[] {
  const { allowPrivateSinks = true, tenantMode = false, maxExportBytes } = vector?.installation ?? {};
  return [`--allow-private-sinks=${allowPrivateSinks}`, `--tenant-mode=${tenantMode}`, ...(maxExportBytes === undefined ? [] : [`--max-export-bytes=${maxExportBytes}`])];
}

function isPart(part: unknown, whole: unknown): boolean {
  if (typeof part !== 'object' || part === null) return part === whole;
  if (typeof whole !== 'object' || whole === null || Array.isArray(part) !== Array.isArray(whole)) return false;
  if (Array.isArray(part) && part.length !== (whole as unknown[]).length) return false;
  return Object.entries(part).every(([key, value]) => isPart(value, (whole as Record<string, unknown>)[key]));
}
