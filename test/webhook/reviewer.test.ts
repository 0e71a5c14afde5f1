import { once } from 'node:events';
import t from 'tap';
import { objectLookups } from '../../shared/admission/state/object-lookups.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import { KubeApiError } from '../../shared/kube/api-error.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { createLogger } from '../../shared/log.ts';
import { createAuthorizer } from '../../webhook/authorizer.ts';
import type { AuthorizerOptions } from '../../webhook/authorizer.ts';
import { WatchedObjects } from '../../webhook/lookups.ts';
import type { AdmissionRequest, AdmissionResponse } from '../../webhook/protocol.ts';
import { createReviewer } from '../../webhook/reviewer.ts';
import type { ReviewerOptions } from '../../webhook/reviewer.ts';
import { objectOf, postgresSpec, profileSpec } from '../admission/objects.ts';
import { eventually } from '../servers/eventually.ts';
import { stateOf } from './harness.ts';

/** Lists that fail until they are allowed, of an API server that is not there. */
function failingLists() {
  const state = { attempts: 0, fails: true };
  const never = new Promise<never>(() => {});
  const client = {
    async *list() {
      state.attempts++;
      if (state.fails) throw new KubeApiError(503, 'ServiceUnavailable', 'not yet');
      yield { items: [], resourceVersion: '1', continue: undefined, bytes: 1 };
    },
    watch: (_path: string, _query: unknown, signal: AbortSignal) => Promise.race([never, once(signal, 'abort').then(() => Promise.reject(new Error('left')))]),
  };
  return { state, client: client as unknown as KubeClient };
}

t.test('whoever waits for lists that failed makes them be tried again at once', async (t) => {
  // Chance would shorten the pauses.
  t.intercept(Math, 'random', { value: () => 1 });
  const { state, client } = failingLists();
  const watched = new WatchedObjects({ client, namespaces: [], clusterKinds: false, log: createLogger({ level: 'error', format: 'json', name: 'webhook', write: () => undefined }) });
  watched.start();
  t.teardown(() => watched.stop());
  const kinds = 7;
  await eventually(() => state.attempts >= kinds * 2);
  const before = state.attempts;
  const since = performance.now();
  await t.rejects(watched.known(since + 1500), { code: 'KOL_ADMISSION_LOOKUP', message: /not yet/ });
  t.ok(performance.now() - since >= 1400, 'waits');
  t.ok(state.attempts >= before + kinds * 2, `${state.attempts - before} attempts instead of none: the next pauses are 1.6 s and 3.2 s`);
  t.ok(state.attempts <= before + kinds * 20, 'but no flood');
  state.fails = false;
  const known = watched.known(performance.now() + 20_000);
  await eventually(() => watched.current !== undefined);
  t.equal(await known, watched.current);
});

type Sent = ReturnType<typeof objectOf>;

/** A reviewer, and what it logs. */
function reviewerOf({ cluster = [], ...more }: Partial<ReviewerOptions> & { cluster?: readonly KubeObject[] } = {}) {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ level: 'info', format: 'json', name: 'webhook', write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const reviewer = createReviewer({ installation: { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: false }, state: stateOf(cluster), log, ...more });
  const review = (object: Sent, { phase = 'validate' as const, old, ...request }: Partial<AdmissionRequest> & { phase?: 'mutate' | 'validate'; old?: Sent } = {}): AdmissionResponse | Promise<AdmissionResponse> =>
    reviewer(phase, {
      uid: 'u',
      kind: { group: 'kollect.dev', version: 'v1alpha1', kind: object.kind },
      name: String(object.metadata.name),
      namespace: object.kind.startsWith('KollectCluster') ? '' : 'team-a',
      operation: old === undefined ? 'CREATE' : 'UPDATE',
      userInfo: { username: 'jane', uid: '', groups: ['writers'], extra: {} },
      dryRun: false,
      object,
      oldObject: old ?? null,
      deadline: performance.now() + 20_000,
      ...request,
    });
  return { review, lines };
}

const scope = (minExportInterval: string, namespace = 'team-a'): KubeObject => objectOf('KollectScope', { minExportInterval }, { name: 'team', namespace }) as KubeObject;
const unknown = { current: undefined, known: () => Promise.reject(new KollectError('KOL_ADMISSION_LOOKUP', 'nothing is known')) };

t.test('what is stored is given the interval that the update was given, also while the scopes are not known yet', async (t) => {
  const lookups = objectLookups([scope('1h')]);
  const { review } = reviewerOf({ state: { current: undefined, known: () => Promise.resolve(lookups) } });
  // Stored before a rule came that refuses the reference, and before intervals were filled in.
  const old = objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'a/b' }] });
  const answer = await review(objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'a/b' }], exportMinInterval: '1h' }), { old });
  t.match(answer, { allowed: true, warnings: [/a\/b/] });
  t.match(await review(objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'a/b' }], exportMinInterval: '2h' }), { old }), { allowed: false, status: { code: 422 } }, 'and no other');
  t.match(await reviewerOf({ state: unknown }).review(objectOf('KollectInventory', { exportMinInterval: 'soon' }), { old }), { allowed: false, status: { code: 500 } });
  t.match(reviewerOf({ state: unknown }).review(objectOf('KollectInventory', { exportMinInterval: 'soon' }), { old: objectOf('KollectInventory', { exportMinInterval: '1h' }) }), { status: { code: 422 } }, 'at once where nothing is missing');
});

t.test('consent to more is part of what must not change', async (t) => {
  const { review } = reviewerOf();
  const all = profileSpec([], { targetGVK: { version: 'v1', kind: 'Secret' }, export: { mode: 'Resource' } });
  const consenting = { annotations: { 'kollect.dev/allow-full-resource-export': 'true' } };
  const misspelt = { ...all, metrics: [{ name: 'm', path: 'nothing' }] };
  t.match(await review(objectOf('KollectProfile', misspelt, consenting), { old: objectOf('KollectProfile', misspelt, consenting) }), { allowed: true, warnings: [/metrics/] });
  t.match(await review(objectOf('KollectProfile', misspelt), { old: objectOf('KollectProfile', misspelt, consenting) }), { allowed: false }, 'taken back');
  t.match(await review(objectOf('KollectProfile', misspelt, consenting), { old: objectOf('KollectProfile', misspelt) }), { allowed: false }, 'given');
});

t.test('the namespace is that of the request', async (t) => {
  const elsewhere = objectOf('KollectInventory', {}, { namespace: 'team-b' });
  const { review } = reviewerOf({ cluster: [scope('1h')] });
  const { patch = '' } = await review(elsewhere, { phase: 'mutate' });
  t.same(JSON.parse(Buffer.from(patch, 'base64').toString()), [{ op: 'add', path: '/spec/exportMinInterval', value: '1h' }]);
  t.match(await review(objectOf('KollectInventory', {}, { namespace: 'team-a' }), { namespace: 'cluster' }), { allowed: false, status: { details: { causes: [{ field: 'metadata.namespace' }] } } }, 'by rules of the object alone');
  t.match(await review(objectOf('KollectInventory', { exportMinInterval: '1m' }, { namespace: 'team-b' })), { allowed: false, status: { details: { causes: [{ field: 'spec.exportMinInterval' }] } } }, 'by other objects');
  const asked: unknown[] = [];
  const { review: reviewAsking } = reviewerOf({ authorize: (_user, questions) => (asked.push(...questions), Promise.resolve([])) });
  await reviewAsking(objectOf('KollectDatabaseSink', postgresSpec(), { namespace: 'kollect-system' }));
  t.match(asked, [{ name: 'dsn', namespaces: ['kollect-system'] }], 'by the rights of the user');
});

t.test('where a kind is refused, nothing is looked up to fill it in', async (t) => {
  const { review } = reviewerOf({ state: unknown, installation: { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: true } });
  const rollup = objectOf('KollectClusterInventory', { namespaceSelector: {} });
  t.same(review(rollup, { phase: 'mutate' }), { uid: 'u', allowed: true });
  t.match(await review(objectOf('KollectInventory', {}), { phase: 'mutate' }), { allowed: false, status: { code: 500 } });
  t.match(review(rollup), { allowed: false, status: { code: 403, reason: 'Forbidden', details: { causes: [{ field: 'kind', reason: 'FieldValueForbidden', message: /tenant mode/ }] } } });
});

/** An authorizer before an API server that knows which namespaces are allowed. */
function authorizerOf({ allowed = [], ...more }: Partial<AuthorizerOptions> & { allowed?: string[]; before?: () => Promise<void> } = {}) {
  const asked: { user: string; groups: string[]; extra: object; resourceAttributes: { namespace?: string } }[] = [];
  const { before } = more;
  const client = {
    create: async (_path: string, { spec }: { spec: (typeof asked)[number] }) => {
      asked.push(spec);
      await before?.();
      return { status: { allowed: allowed.includes(spec.resourceAttributes.namespace ?? '*') } };
    },
  };
  const discovery = { resolve: () => Promise.resolve({ plural: 'deployments', namespaced: true }) };
  return { asked, authorize: createAuthorizer({ client: client as never, discovery: discovery as never, ...more }) };
}

const jane = { username: 'jane', uid: '7', groups: ['b', 'a'], extra: { 'example.com/scopes': ['read', 'write'] } };
const secretIn = (...namespaces: string[]) => ({ field: 'spec.a', verb: 'get', resource: { group: '', plural: 'secrets' }, name: 's', namespaces }) as const;
const soon = () => performance.now() + 20_000;

t.test('the API server is told all it knows of the user, and who is refused learns why', async (t) => {
  const { authorize, asked } = authorizerOf({ allowed: ['a'] });
  t.same(await authorize(jane, [secretIn('a')], soon()), []);
  t.same(asked, [{ user: 'jane', uid: '7', groups: ['b', 'a'], extra: jane.extra, resourceAttributes: { verb: 'get', name: 's', group: '', resource: 'secrets', namespace: 'a', version: '*' } }]);
  t.match(await authorize(jane, [secretIn('b')], soon()), [{ severity: 'error', field: 'spec.a', type: 'Forbidden', policy: true, rule: 'writer-rights' }]);
  await authorize({ ...jane, extra: {} }, [secretIn('a')], soon());
  await authorize({ ...jane, groups: ['a', 'b'] }, [secretIn('a')], soon());
  t.equal(asked.length, 3, 'what else is said of a user makes another one, the order of groups does not');

  const { review, lines } = reviewerOf({ authorize });
  t.match(await review(objectOf('KollectDatabaseSink', postgresSpec())), { allowed: false, status: { code: 403, details: { causes: [{ field: 'spec.postgres.databaseRef', reason: 'FieldValueForbidden' }] } } });
  t.match(lines, [{ msg: 'denied', field: 'spec.postgres.databaseRef', rule: 'writer-rights' }]);
});

t.test('an answer is used for ten seconds, a refusal for two', async (t) => {
  let now = 0;
  const { authorize, asked } = authorizerOf({ allowed: ['a'], now: () => now });
  const asksAt = async (seconds: number, namespace: string) => {
    now = seconds * 1000;
    const before = asked.length;
    await authorize(jane, [secretIn(namespace)], soon());
    return asked.length > before;
  };
  t.same([await asksAt(0, 'a'), await asksAt(9.9, 'a'), await asksAt(10, 'a'), await asksAt(11, 'a')], [true, false, true, false]);
  t.same([await asksAt(20, 'b'), await asksAt(21.9, 'b'), await asksAt(22, 'b')], [true, false, true]);
});

t.test('nothing more is asked when the time is over', async (t) => {
  const held = Promise.withResolvers<void>();
  const { authorize, asked } = authorizerOf({ allowed: ['*'], before: () => held.promise });
  const many = Array.from({ length: 40 }, (_, index) => ({ ...secretIn('a'), name: `s${index}` }));
  await t.rejects(authorize(jane, many, performance.now() + 20), { code: 'KOL_ADMISSION_LOOKUP' });
  const before = asked.length;
  held.resolve();
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  t.equal(asked.length, before);
  t.ok(before < many.length);
});

t.test('a sink that lacked its defaults is not asked about again', async (t) => {
  const { authorize, asked } = authorizerOf();
  const { review } = reviewerOf({ authorize });
  const git = (more: object) => objectOf('KollectSnapshotSink', { type: 'git', endpoint: 'https://example.com/a/b.git', secretRef: { name: 's', namespace: 'kollect-system' }, ...more });
  t.match(await review(git({ git: {}, connectionTest: true, exportMinInterval: '5m' }), { old: git({}) }), { allowed: true });
  t.same(asked, []);
  t.match(await review(git({ git: { branch: 'x' }, connectionTest: true }), { old: git({}) }), { allowed: false, status: { code: 403 } });
});
