import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import type { Finding } from '../../shared/admission/finding.ts';
import { rulesOf } from '../../shared/admission/rules/registry.ts';
import { kindByName, kinds } from '../../shared/api/kinds.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { customResourceDefinition } from '../../shared/crd/custom-resource-definition.ts';
import { policies } from '../../shared/crd/policies.ts';
import { crdValidations, enforcedByApiServer, heldInPart } from '../../shared/crd/validations.ts';
import { KubeApiError, KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { kollectPath } from '../../shared/kube/paths.ts';
import { judgeVector } from '../admission/judge-vector.ts';
import { allVectors } from '../admission/vectors/all.ts';
import { storedObject, vectorNamespace, vectorObject } from '../admission/vectors/vector.ts';
import type { Vector } from '../admission/vectors/vector.ts';
import { installCrds, installLaxCrds, installPolicies } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { untilEstablished } from '../servers/kubernetes/established.ts';

// Every vector on a real API server with CRDs and policies, and without the webhook.

/** What this version added to the schemas. */
const additions: ReadonlySet<string> = new Set(['x-kubernetes-validations', 'maxLength', 'maxItems']);

const cluster = await startCluster();
t.teardown(() => cluster.stop());
const client = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => client.close());

/** Vectors as they are sent, each object under a name of its own. What is being deleted keeps its spec, as only its finalizers are removed. */
const cases = allVectors.map((vector, index) => {
  const named = (object: KubeObject, letter: string): KubeObject => ({ ...object, metadata: { ...object.metadata, name: `${letter}${index}`, finalizers: ['kollect.dev/test'] } });
  const object = vectorObject(vector);
  const isDeleting = object.metadata.deletionTimestamp !== undefined;
  const old = isDeleting ? object : storedObject(vector);
  return { vector, isDeleting, object: named(object, 'v'), old: old && named(old, 'v'), before: named(object, 'b') };
});

// Some objects are older than the rules: they keep to types, but to nothing that CEL or bounds say.
await installOlderCrds();
for (const name of new Set([vectorNamespace, ...cases.flatMap(({ object }) => object.metadata.namespace ?? [])])) {
  await client.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }).catch((error: unknown) => {
    if (!(error instanceof KubeApiError) || error.reason !== 'AlreadyExists') throw error;
  });
}
const wrong = Map.groupBy(cases.filter(({ vector, isDeleting }) => !isAdmitted(vector) && !isDeleting), ({ vector }) => `${vector.kind} ${rulesBrokenBy(vector).join(' ')} ${vector.errors?.join(' ')}`);
const stored = (await inTens([...wrong.values()].map(([first]) => first!), async (one) => ((await refusalOf(client.create(collectionPath(one.before), one.before))) === undefined ? [one] : []))).flat();

// What vectors say is stored may break anything.
await installLaxCrds(cluster.kubectl);
await inTens(cases, async ({ old, isDeleting }) => {
  if (old === undefined) return;
  await eventually(() => client.create(collectionPath(old), old));
  if (isDeleting) await client.delete(pathOf(old));
});

await installCrds(cluster.kubectl);
await installPolicies(cluster.kubectl);
await untilInForce();

const verdicts = await inTens(cases, async ({ vector, object, old }) => ({ vector, refusal: await refusalOf(old === undefined ? client.create(collectionPath(object), object, { dryRun: 'All' }) : update(object)) }));
const refused = verdicts.flatMap(({ vector, refusal }) => (refusal === undefined ? [] : [{ vector, refusal }]));

t.test('what the webhook admits, the API server admits', async (t) => {
  t.strictSame(refused.filter(({ vector }) => isAdmitted(vector)).map(({ vector, refusal }) => `${vector.kind}, ${vector.name}: ${refusal.message}`), []);
  const wrong = verdicts.filter(({ vector }) => !isAdmitted(vector));
  t.comment(`${verdicts.length} vectors; of ${wrong.length} that the webhook refuses, the API server refuses ${refused.length} by itself`);
});

t.test('what the API server refuses, the webhook refuses in the same field', async (t) => {
  const strange = refused.flatMap(({ vector, refusal }) => fieldsOf(refusal).filter((field) => !(vector.errors ?? []).some((error) => isSameField(error, field))).map((field) => `${vector.kind}, ${vector.name}: ${field}: ${refusal.message}`));
  t.strictSame(strange, []);
});

t.test('what breaks a rule that the API server holds, it refuses', async (t) => {
  // The policy for tenants is no part of this installation.
  const admitted = verdicts.filter(({ vector, refusal }) => refusal === undefined && vector.installation?.tenantMode !== true);
  t.ok(verdicts.filter(({ vector, refusal }) => refusal !== undefined && vector.old !== undefined).length >= 4, 'updates are among what is refused');
  const missed = admitted.flatMap(({ vector }) => {
    // What was stored so, and stays, is forgiven.
    const changed = ({ field }: Finding): boolean => vector.old === undefined || !isDeepStrictEqual(valueAt(vector.object, field), valueAt(vector.old, field));
    return rulesBrokenBy(vector, changed).filter((rule) => enforcedByApiServer(vector.kind, rule) !== undefined && !heldInPart.has(rule)).map((rule) => `${vector.kind}/${rule}: ${vector.name}`);
  });
  t.strictSame(missed, []);
});

t.test('each CRD rule and each finding of a policy refuses something', async (t) => {
  const causes = refused.flatMap(({ vector, refusal }) => (refusal.details?.causes ?? []).map(({ field = '', message = '', reason = '' }) => ({ kind: vector.kind, shape: field.replaceAll(/\[\d+\]/g, '[]'), message, reason })));
  const idle = crdValidations.filter(({ kind, at, fieldPath = '', message, messageExpression, reason = 'FieldValueInvalid' }) => {
    return !causes.some((cause) => cause.kind === kind && cause.shape === `${at}${fieldPath}` && cause.reason === reason && (messageExpression !== undefined || reason === 'FieldValueDuplicate' || cause.message.includes(message)));
  });
  t.strictSame(idle.map(({ kind, rule, at, fieldPath = '', message }) => `${kind}/${rule}: ${at}${fieldPath}: ${message}`), []);
  const silent = policies.filter(({ overlay }) => overlay === undefined).flatMap(({ name, kinds, findings }) => findings.flatMap(({ rule, says }) => kinds.map((kind) => ({ name, kind, rule, says }))));
  t.strictSame(silent.filter(({ name, kind, says }) => !causes.some((cause) => cause.kind === kind && cause.message.includes(`'${name}'`) && cause.message.includes(says))).map(({ kind, rule, says }) => `${kind}/${rule}: ${says}`), []);
});

t.test('each belongs to a rule', async (t) => {
  const known = (kind: string) => ['schema', 'tenant-mode', ...rulesOf(kind).map(({ id }) => id)];
  const named = [...crdValidations, ...policies.flatMap(({ kinds, findings }) => kinds.flatMap((kind) => findings.map(({ rule }) => ({ kind, rule }))))];
  t.strictSame([...new Set(named.filter(({ kind, rule }) => !known(kind).includes(rule)).map(({ kind, rule }) => `${kind}/${rule}`))], []);
  t.equal(enforcedByApiServer('KollectInventory', 'schema'), 'CRD');
  t.equal(enforcedByApiServer('KollectInventory', 'export-min-interval'), 'CRD');
  t.equal(enforcedByApiServer('KollectInventory', 'sink-ref-name'), 'policy');
  t.equal(enforcedByApiServer('KollectInventory', 'http-endpoint'), undefined);
});

t.test('what was stored before the rules can still be marked, reported on and let go', async (t) => {
  t.ok(stored.length >= 100, `${stored.length} objects`);
  const stuck = await inTens(stored, async ({ vector, before }) => {
    const marked = await refusalOf(client.patch(pathOf(before), { type: 'merge', body: { metadata: { annotations: { 'kollect.dev/test-connection': 'true' } } } }));
    const reported = kindByName(vector.kind)?.status === undefined ? undefined : await refusalOf(client.patch(`${pathOf(before)}/status`, { type: 'merge', body: { status: { conditions: [] } } }));
    await client.delete(pathOf(before));
    const released = await refusalOf(client.patch(pathOf(before), { type: 'merge', body: { metadata: { finalizers: null } } }));
    return [marked, reported, released].flatMap((refusal) => (refusal === undefined ? [] : [`${vector.kind}, ${vector.name}: ${refusal.message}`]));
  });
  t.strictSame(stuck.flat(), []);
});

t.test('an installation for one tenant takes no kinds of the whole cluster', async (t) => {
  await installPolicies(cluster.kubectl, 'tenant');
  const target = { profileRef: { name: 'p', namespace: 'team-a' }, namespaceSelector: { matchLabels: { a: 'b' } } };
  for (const [kind, spec] of [['KollectClusterTarget', target], ['KollectClusterInventory', {}]] as const) {
    const object = vectorObject({ kind, object: { spec } });
    const refusal = await eventually(async () => refusalOf(client.create(collectionPath(object), object, { dryRun: 'All' })));
    t.match(refusal, { status: 403, reason: 'Forbidden', message: /tenant mode.*use the namespaced kinds/ }, kind);
  }
  const inventory = vectorObject({ kind: 'KollectInventory', object: { spec: {} } });
  t.equal(await refusalOf(client.create(collectionPath(inventory), inventory, { dryRun: 'All' })), undefined);
});

async function installOlderCrds(): Promise<void> {
  const items: unknown[] = kinds.map((definition) => JSON.parse(JSON.stringify(customResourceDefinition(definition)), (key, value: unknown) => (additions.has(key) ? undefined : value)));
  const { code, stderr } = await cluster.kubectl(['apply', '--server-side', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  if (code !== 0) throw new Error(stderr);
  await untilEstablished(cluster.kubectl);
}

function isAdmitted({ errors = [] }: Vector): boolean {
  return errors.length === 0;
}

function rulesBrokenBy(vector: Vector, counts = (_finding: Finding): boolean => true): string[] {
  return [...new Set(judgeVector(vector).findings.flatMap((finding) => (finding.severity === 'error' && counts(finding) ? [finding.rule ?? ''] : [])))];
}

function valueAt(object: unknown, field: string): unknown {
  return field.split(/[.[\]]+/).filter((key) => key !== '').reduce<unknown>((node, key) => (node as Record<string, unknown> | null | undefined)?.[key], object);
}

/** Ten at a time, in order. */
async function inTens<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += 10) results.push(...(await Promise.all(items.slice(from, from + 10).map(work))));
  return results;
}

async function refusalOf(request: Promise<unknown>): Promise<KubeApiError | undefined> {
  try {
    await request;
    return undefined;
  } catch (error) {
    if (error instanceof KubeApiError && [400, 403, 422].includes(error.status)) return error;
    throw error;
  }
}

function update(object: KubeObject): Promise<unknown> {
  const { spec, metadata: { labels = {}, annotations = {} } } = object;
  const body = [
    ...Object.entries({ '/metadata/labels': labels, '/metadata/annotations': annotations }).map(([path, value]) => ({ op: 'add', path, value })),
    spec === undefined ? { op: 'remove', path: '/spec' } : { op: 'add', path: '/spec', value: spec },
  ];
  return client.patch(pathOf(object), { type: 'json', body, query: { dryRun: 'All' } });
}

function pathOf(object: KubeObject): string {
  return kollectPath(kindByName(object.kind)?.plural ?? '', object);
}

function collectionPath(object: KubeObject): string {
  return pathOf(object).replace(/\/[^/]*$/, '');
}

/** Rules take effect a moment after they are stored. */
async function untilInForce(): Promise<void> {
  // Only the true schema knows that there is no such field.
  const ofSchemas = kinds.map(({ kind }) => vectorObject({ kind, object: { spec: { noSuchField: true } } }));
  const ofPolicies = [
    vectorObject({ kind: 'KollectInventory', object: { spec: { databaseSinkRefs: ['a/b'] } } }),
    vectorObject({ kind: 'KollectClusterInventory', object: { spec: { databaseSinkRefs: ['a/b'] } } }),
    vectorObject({ kind: 'KollectDatabaseSink', object: { spec: { type: 'postgres', postgres: { databaseRef: { name: 'd' }, table: 't' }, options: { password: 'x' } } } }),
    vectorObject({ kind: 'KollectProfile', object: { spec: { targetGVK: { version: 'v1', kind: 'Secret' }, attributes: [{ name: 'a', path: '$.data' }] } } }),
  ];
  await eventually(async () => {
    const refusals = await Promise.all([...ofSchemas, ...ofPolicies].map((object) => refusalOf(client.create(collectionPath(object), object, { dryRun: 'All', fieldValidation: 'Strict' }))));
    return refusals.every((refusal) => refusal !== undefined);
  });
}

/** The fields that a refusal names; policies name references by list and name instead of an index. */
function fieldsOf({ details }: KubeApiError): string[] {
  return (details?.causes ?? []).flatMap(({ field = '', message = '' }) => {
    const said = /denied request: (.*)/.exec(message)?.[1];
    if (said === undefined) return field === '' || field === '<nil>' ? [] : [field];
    return said.split('; ').flatMap((part) => /^((?:spec|metadata)[^\s:]*): /.exec(part)?.[1]?.replace(/(Refs)\[.*$/, '$1').replace(/(attributes)\[.*$/, '$1') ?? []);
  });
}

/** The same, or one within the other. */
function isSameField(a: string, b: string): boolean {
  return a === b || /^[.[]/.test(a.startsWith(b) ? a.slice(b.length) : b.startsWith(a) ? b.slice(a.length) : '');
}
