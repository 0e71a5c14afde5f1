import t from 'tap';
import type { Finding } from '../../shared/admission/finding.ts';
import { invalidObject } from '../../webhook/denial.ts';
import { answerWithinMs, readReview } from '../../webhook/protocol.ts';
import type { AdmissionRequest, AdmissionResponse } from '../../webhook/protocol.ts';
import { objectOf, postgresSpec, profileSpec } from '../admission/objects.ts';
import { pathOf, reviewOf, stateOf, testServer } from './harness.ts';
import type { Answer } from './harness.ts';

const { app, lines, metrics, stopping } = testServer();
t.teardown(() => app.close());

async function send(url: string, payload: unknown, headers: Record<string, string> = { 'content-type': 'application/json' }) {
  const response = await app.inject({ method: 'POST', url, headers, payload: typeof payload === 'string' ? payload : JSON.stringify(payload) });
  return { status: response.statusCode, headers: response.headers, text: response.body, answer: () => response.json<Answer>() };
}

const inventory = (spec: unknown, metadata = {}) => objectOf('KollectInventory', spec, metadata);

t.test('a review is answered with its uid, as the version it came in', async (t) => {
  const { status, headers, answer } = await send(pathOf('validate', 'KollectInventory'), reviewOf(inventory({})));
  t.equal(status, 200);
  t.match(headers['content-type'], /^application\/json/);
  t.same(answer(), { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: '705ab4f5-6393-11e8-b7cc-42010a800002', allowed: true } });
});

t.test('a denial tells field, rule and fix, once for people and once for programs', async (t) => {
  lines.length = 0;
  const object = objectOf('KollectDatabaseSink', postgresSpec({ type: 'postgres', options: { password: 'canary' }, exportMinInterval: '-1s' }));
  const { status, answer, text } = await send(pathOf('validate', 'KollectDatabaseSink'), reviewOf(object, { dryRun: true }));
  t.equal(status, 200);
  const { response } = answer();
  t.equal(response.allowed, false);
  t.match(response.status, {
    status: 'Failure',
    code: 422,
    reason: 'Invalid',
    message: 'KollectDatabaseSink.kollect.dev "sample" is invalid: spec.exportMinInterval: Invalid value: "-1s": must not be negative; write 0s for no delay, or a duration such as 30s; spec.options[password]: Forbidden: options are stored in plain text; put credentials into a Secret and name it in secretRef or databaseRef',
    details: {
      name: 'sample',
      group: 'kollect.dev',
      kind: 'KollectDatabaseSink',
      causes: [
        { field: 'spec.exportMinInterval', reason: 'FieldValueInvalid', message: 'Invalid value: "-1s": must not be negative; write 0s for no delay, or a duration such as 30s' },
        { field: 'spec.options[password]', reason: 'FieldValueForbidden', message: /^Forbidden: / },
      ],
    },
  });
  t.notMatch(text, /canary/);
  t.match(lines, [{ level: 'info', msg: 'denied', uid: response.uid, kind: 'KollectDatabaseSink', namespace: 'team-a', name: 'sample', user: 'jane', operation: 'CREATE', dryRun: true, code: 422, field: 'spec.exportMinInterval' }]);
});

t.test('an answer is bounded, and shows no credential that stands where a name should', async (t) => {
  const key = `postgres://u:canary${'k'.repeat(400_000)}@h`;
  for (const [kind, spec] of [
    ['KollectInventory', { databaseSinkRefs: [{ name: 'a', [key]: 1 }] }],
    ['KollectDatabaseSink', { type: 'postgres', postgres: { databaseRef: { name: 'a' }, table: 'b' }, options: { [key]: 1, [`postgres://u:canary${'k'.repeat(150)}@h`]: 1, 'postgres://u:canary@h': 1 } }],
    ['KollectDatabaseSink', { type: 'postgres', postgres: { databaseRef: { name: 'a' }, table: 'b' }, options: Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`${'o'.repeat(90)}${index}`, 'x'])) }],
  ] as const) {
    const { text } = await send(pathOf('validate', kind), reviewOf(objectOf(kind, spec)));
    t.ok(text.length < 16_384, `${kind}: ${text.length} characters`);
    t.notMatch(text, 'canary');
    const { warnings = [] } = (JSON.parse(text) as Answer).response;
    t.ok(warnings.join('').length < 4096, `${warnings.length} warnings`);
  }
  t.ok(lines.every((line) => JSON.stringify(line).length < 2048), 'nor is a line of the log longer');
});

t.test('warnings go with an admission and with a denial', async (t) => {
  const existing = postgresSpec({ provisioning: { mode: 'existing' } });
  t.match((await send(pathOf('validate', 'KollectDatabaseSink'), reviewOf(objectOf('KollectDatabaseSink', existing)))).answer().response, { allowed: true, warnings: [/^spec\.provisioning\.mode: /] });
  const refused = (await send(pathOf('validate', 'KollectDatabaseSink'), reviewOf(objectOf('KollectDatabaseSink', { ...existing, layout: {} })))).answer().response;
  t.match(refused, { allowed: false, warnings: [/^spec\.provisioning\.mode: /] });
  const long = (await send(pathOf('validate', 'KollectDatabaseSink'), reviewOf(objectOf('KollectDatabaseSink', postgresSpec({ options: { ['x'.repeat(500)]: '1' } }))))).answer().response;
  t.ok((long.warnings?.[0]?.length ?? 0) <= 256);
});

t.test('an annotation that is no text and cannot be made one is warned of', async (t) => {
  for (const value of [{ toString: 0 }, { toString: 'true' }, [], null]) {
    const { answer } = await send(pathOf('validate', 'KollectInventory'), reviewOf(inventory({}), { object: { ...inventory({}), metadata: { name: 'sample', namespace: 'team-a', annotations: { 'kollect.dev/pause-deletes': value } } } }));
    t.match(answer().response, { allowed: true, warnings: [/pause-deletes.*write "true", in quotes, or remove it/] });
  }
});

t.test('a thousand mistakes make one message of bearable size', async (t) => {
  const { text, answer } = await send(pathOf('validate', 'KollectProfile'), reviewOf(objectOf('KollectProfile', profileSpec(Array.from({ length: 1000 }, () => 'nope')))));
  t.equal(answer().response.status?.details?.causes.length, 50);
  t.match(answer().response.status?.message, /; and 950 more$/);
  t.ok(text.length < 32_768);
});

t.test('mutation patches what is left out, and is silent when nothing is', async (t) => {
  const { response } = (await send(pathOf('mutate', 'KollectInventory'), reviewOf(inventory({ databaseSinkRefs: ['pg'] })))).answer();
  t.match(response, { allowed: true, patchType: 'JSONPatch' });
  t.same(JSON.parse(Buffer.from(response.patch ?? '', 'base64').toString()), [
    { op: 'replace', path: '/spec/databaseSinkRefs/0', value: { name: 'pg' } },
    { op: 'add', path: '/spec/exportMinInterval', value: '30s' },
  ]);
  const nothing = (await send(pathOf('mutate', 'KollectInventory'), reviewOf(inventory({ exportMinInterval: '1m' })))).answer().response;
  t.same(nothing, { uid: '705ab4f5-6393-11e8-b7cc-42010a800002', allowed: true });
  t.match((await send(pathOf('mutate', 'KollectInventory'), reviewOf(inventory('nonsense')))).answer().response, { allowed: true, patch: undefined });
});

t.test('objects that are being deleted pass, however invalid', async (t) => {
  const dying = inventory({ databaseSinkRefs: ['a/b'] }, { deletionTimestamp: '2026-01-01T00:00:00Z' });
  const update = { operation: 'UPDATE', oldObject: dying };
  t.same((await send(pathOf('validate', 'KollectInventory'), reviewOf(dying, update))).answer().response, { uid: '705ab4f5-6393-11e8-b7cc-42010a800002', allowed: true });
  t.equal((await send(pathOf('mutate', 'KollectInventory'), reviewOf(dying, update))).answer().response.patch, undefined);
  for (const phase of ['validate', 'mutate'] as const) {
    const answer = (await send(pathOf(phase, 'KollectInventory'), reviewOf(dying, { operation: 'DELETE', object: null, oldObject: dying }))).answer();
    t.same(answer.response, { uid: '705ab4f5-6393-11e8-b7cc-42010a800002', allowed: true }, phase);
  }
});

t.test('an update that leaves an old mistake alone passes with a warning', async (t) => {
  const old = inventory({ databaseSinkRefs: [{ name: 'a/b' }], exportMinInterval: '30s' });
  const relabelled = { ...old, metadata: { ...old.metadata, labels: { team: 'a' } } };
  t.match((await send(pathOf('validate', 'KollectInventory'), reviewOf(relabelled, { operation: 'UPDATE', oldObject: old }))).answer().response, { allowed: true, warnings: [/a\/b/] });
  t.match((await send(pathOf('validate', 'KollectInventory'), reviewOf(relabelled, { operation: 'CREATE', oldObject: old }))).answer().response, { allowed: false });
});

t.test('what cannot be judged is denied, with the uid', async (t) => {
  const cases: [string, Record<string, unknown>, RegExp][] = [
    ['unknown kind', { kind: { group: 'kollect.dev', version: 'v1alpha1', kind: 'KollectHub' } }, /KollectHub/],
    ['kind of another group', { kind: { group: 'apps', version: 'v1', kind: 'KollectInventory' } }, /KollectInventory\.v1\.apps/],
    ['kind of another version', { kind: { group: 'kollect.dev', version: 'v1beta1', kind: 'KollectInventory' } }, /KollectInventory\.v1beta1\.kollect\.dev/],
    ['no kind', { kind: undefined }, /not one of/],
    ['operation that stores nothing', { operation: 'CONNECT' }, /operation "CONNECT"/],
    ['no operation', { operation: '' }, /operation ""/],
    ['no object', { object: null }, /no object/],
    ['object of another type', { object: 'x' }, /no object/],
    ['object without a spec', { object: {} }, /spec: Required value/],
  ];
  for (const [what, more, message] of cases) {
    const { status, answer } = await send(pathOf('validate', 'KollectInventory'), reviewOf(inventory({}), more));
    t.equal(status, 200, what);
    t.match(answer().response, { uid: '705ab4f5-6393-11e8-b7cc-42010a800002', allowed: false, status: { message } }, what);
  }
  t.match((await send('/validate-kollect-dev-v1alpha1-kollecthub', reviewOf({ ...inventory({}), kind: 'KollectHub' }))).answer().response, { allowed: false });
  t.match((await send('/mutate-kollect-dev-v1alpha1-kollecthub', reviewOf({ ...inventory({}), kind: 'KollectHub' }))).answer().response, { allowed: true });
});

t.test('the name of an object that has none yet is its prefix', async (t) => {
  const object = inventory({ maxExportBytes: 0 }, { name: undefined, generateName: 'web-' });
  t.match((await send(pathOf('validate', 'KollectInventory'), reviewOf(object, { name: '' }))).answer().response.status, { message: /"web-" is invalid/, details: { name: 'web-' } });
});

t.test('a body that is no review is a bad request', async (t) => {
  const url = pathOf('validate', 'KollectInventory');
  const review = reviewOf(inventory({}));
  const bodies: [string, unknown][] = [
    ['empty', ''],
    ['cut off', JSON.stringify(review).slice(0, -1)],
    ['text', 'hello'],
    ['null', 'null'],
    ['a list', '[]'],
    ['another kind', { ...review, kind: 'Pod' }],
    ['another version', { ...review, apiVersion: 'admission.k8s.io/v1beta1' }],
    ['no request', { ...review, request: undefined }],
    ['no uid', { ...review, request: { ...review.request, uid: '' } }],
    ['a uid of another type', { ...review, request: { ...review.request, uid: 7 } }],
  ];
  for (const [what, body] of bodies) t.equal((await send(url, body)).status, 400, what);
  t.equal((await send(url, 'x', { 'content-type': 'text/xml' })).status, 415);
  t.equal((await send(url, review, { 'content-type': 'application/json', 'content-encoding': 'gzip' })).status, 415);
  t.equal((await send(url, review, { 'content-type': 'application/json', 'content-encoding': 'identity' })).status, 200);
});

t.test('only the paths of reviews answer, and only to POST', async (t) => {
  const url = pathOf('validate', 'KollectInventory');
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
    for (const payload of ['', '{}']) {
      const { statusCode, headers } = await app.inject({ method, url, payload, headers: { 'content-type': 'application/json' } });
      t.match({ statusCode, allow: headers.allow }, { statusCode: 405, allow: 'POST' }, method);
    }
  }
  for (const path of ['/', '/validate', '/validate-apps-v1-deployment', `/x${url}`, `${url.split('?', 1)[0]}/x`, '/metrics', '/%', '//']) {
    t.match((await send(path, reviewOf(inventory({})))).status, path === '/%' ? 400 : 404, path);
  }
});

t.test('the API server says how long it waits', async (t) => {
  t.equal(answerWithinMs('/validate?timeout=5s'), 4000);
  t.equal(answerWithinMs('/validate?a=b&timeout=30s&c=d'), 29_000);
  t.equal(answerWithinMs('/validate?timeout=1s'), 500, 'half of a short time');
  t.equal(answerWithinMs('/validate?timeout=999s'), 29_000, 'no configuration can ask for more than 30 s');
  for (const other of ['/validate', '/validate?timeout=', '/validate?timeout=-1s', '/validate?timeout=5', '/validate?xtimeout=5s']) t.equal(answerWithinMs(other), 9000, other);
});

t.test('what takes longer than the API server waits is refused before it gives up', async (t) => {
  const answers = { never: () => new Promise<never>(() => {}), fails: () => Promise.reject(new Error('canary')), waits: () => Promise.resolve({ uid: 'u', allowed: true }) };
  for (const [what, answer] of Object.entries(answers)) {
    const waiting = testServer({}, { review: answer });
    t.teardown(() => waiting.app.close());
    const started = performance.now();
    const { response } = (await waiting.app.inject({ method: 'POST', url: pathOf('validate', 'KollectInventory').replace('5s', '1s'), payload: reviewOf(inventory({})) })).json<Answer>();
    if (what === 'waits') t.equal(response.allowed, true);
    else t.match(response, { allowed: false, status: { code: 500, reason: 'InternalError', message: what === 'never' ? /not be judged in time/ : /internal error/ } }, what);
    t.equal(performance.now() - started >= 499, what === 'never');
    t.notMatch(JSON.stringify(response), /canary/);
  }
});

t.test('a refusal by policy alone is forbidden, beside a mistake it is one', async (t) => {
  const request = readReview(reviewOf(inventory({})), 0) as AdmissionRequest;
  const policy: Finding = { severity: 'error', field: 'spec.namespace', type: 'Forbidden', detail: 'out of scope', policy: true };
  const mistake: Finding = { severity: 'error', field: 'spec.suspend', type: 'Required', detail: '' };
  t.match(invalidObject(request, [policy]), { code: 403, reason: 'Forbidden', message: 'KollectInventory.kollect.dev "sample" is forbidden: spec.namespace: Forbidden: out of scope', details: { causes: [{ field: 'spec.namespace' }] } });
  t.match(invalidObject(request, [policy, mistake]), { code: 422, reason: 'Invalid', details: { causes: { length: 2 } } });
});

t.test('seven megabytes pass, more do not', async (t) => {
  const fits = reviewOf(inventory({}, { annotations: { filler: 'x'.repeat(6.9 * 1024 * 1024) } }));
  t.equal((await send(pathOf('validate', 'KollectInventory'), fits)).status, 200);
  const large = reviewOf(inventory({}, { annotations: { filler: 'x'.repeat(7 * 1024 * 1024) } }));
  t.equal((await send(pathOf('validate', 'KollectInventory'), large)).status, 413);
});

t.test('keys that would reach the prototype are dropped', async (t) => {
  const body = JSON.stringify(reviewOf(inventory({}))).replace('"spec":{}', '"spec":{"__proto__":{"suspend":"x"},"constructor":{"prototype":{}}}');
  t.match((await send(pathOf('validate', 'KollectInventory'), body)).answer().response.uid, '705ab4f5');
  t.equal(({} as { suspend?: string }).suspend, undefined);
});

t.test('the installation limits what is accepted', async (t) => {
  const strict = testServer({ tenantMode: true, maxExportBytes: 100 });
  t.teardown(() => strict.app.close());
  const ask = async (object: ReturnType<typeof objectOf>) => (await strict.app.inject({ method: 'POST', url: pathOf('validate', object.kind), payload: reviewOf(object) })).json<Answer>().response;
  t.match(await ask(objectOf('KollectClusterInventory', { targetRefs: ['a/b'] })), { allowed: false, status: { code: 403, reason: 'Forbidden', message: /^KollectClusterInventory\.kollect\.dev "sample" is forbidden: .*tenant mode/ } });
  const filled = (await strict.app.inject({ method: 'POST', url: pathOf('mutate', 'KollectClusterInventory'), payload: reviewOf(objectOf('KollectClusterInventory', {})) })).json<Answer>().response;
  t.match(filled, { allowed: true, patch: undefined }, 'needs no other objects, which such an installation may not see');
  t.match(await ask(objectOf('KollectClusterInventory', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' })), { allowed: true });
  t.match(await ask(inventory({ maxExportBytes: 101 })), { allowed: false, status: { code: 422, message: /at most 100/ } });
});

t.test('a fault of ours denies one object and names the log line', async (t) => {
  lines.length = 0;
  const trap = reviewOf(inventory({}));
  // What JSON cannot bring: an object that throws when it is looked at.
  const { createReviewer } = await import('../../webhook/reviewer.ts');
  const { createLogger } = await import('../../shared/log.ts');
  const reviewer = createReviewer({ installation: { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: false }, state: stateOf([]), log: createLogger({ level: 'info', format: 'json', name: 'w', write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) }) });
  const object = { get spec(): unknown { throw new Error('boom'); } };
  const response = reviewer('validate', { ...trap.request, userInfo: { username: 'jane', uid: '', groups: [], extra: {} }, name: 'sample', namespace: 'team-a', object, deadline: Infinity });
  t.match(response, { uid: trap.request.uid, allowed: false, status: { code: 500, reason: 'InternalError', message: new RegExp(trap.request.uid) } });
  t.match(lines, [{ level: 'error', uid: trap.request.uid, error: 'boom' }]);
});

t.test('a review that comes again is answered as before, with its own uid', async (t) => {
  let revision: number | undefined;
  let judged = 0;
  let response: Partial<AdmissionResponse> = {};
  const { app, metrics } = testServer({}, {
    revision: () => revision,
    review: (phase, { uid }) => {
      judged++;
      const answer = { uid, allowed: true, warnings: [phase], ...response };
      return phase === 'mutate' ? Promise.resolve(answer) : answer;
    },
  });
  t.teardown(() => app.close());
  let count = 0;
  const uidOf = (number: number): string => `705ab4f5-6393-11e8-b7cc-${String(number).padStart(12, '0')}`;
  const ask = async (change: (body: string) => string = (body) => body, phase: 'validate' | 'mutate' = 'validate') => {
    const before = judged;
    const uid = uidOf(count++);
    const body = change(JSON.stringify(reviewOf(inventory({}), { uid })));
    const { response } = (await app.inject({ method: 'POST', url: pathOf(phase, 'KollectInventory'), headers: { 'content-type': 'application/json' }, payload: body })).json<Answer>();
    return { judged: judged > before, ...response, uid: response.uid === uid };
  };
  const [first, again] = [{ judged: true, uid: true, allowed: true, warnings: ['validate'] }, { judged: false, uid: true, allowed: true, warnings: ['validate'] }];
  t.same([await ask(), await ask()], [first, first], 'not before other objects are known');
  revision = 1;
  t.same([await ask(), await ask(), await ask()], [first, again, again]);
  revision = 2;
  t.same([await ask(), await ask()], [first, again], 'other objects have changed');
  for (const [what, change] of [
    ['another namespace', (body: string) => body.replace('"namespace":"team-a"', '"namespace":"team-b"')],
    ['another user', (body: string) => body.replace('jane', 'june')],
    ['another spec', (body: string) => body.replace('"spec":{}', '"spec":{"suspend":true}')],
    ['another operation', (body: string) => body.replace('CREATE', 'UPDATE')],
  ] as const) {
    t.same([await ask(change), await ask(change)], [first, again], what);
  }
  t.same([await ask(), await ask()], [first, again], 'of an object, the last one counts');

  t.test('and only then', async (t) => {
    const spaced = (body: string): string => ` ${body}`;
    t.same([await ask(spaced), await ask(spaced)], [first, first], 'written otherwise than the API server does');
    const large = (body: string): string => body.replace('"spec":{}', `"spec":{"note":"${'x'.repeat(20_000)}"}`);
    t.same([await ask(large), await ask(large)], [first, first], 'large');
    // JSON.parse takes the last of two.
    const twice = (body: string): string => body.replace('"operation"', `"uid":"${uidOf(1000)}","operation"`);
    count = 1000;
    t.match([await ask(twice), await ask(twice)], [{ judged: true, uid: true }, { judged: true, uid: false }], 'with two uids');
    const mutated = { ...first, warnings: ['mutate'] };
    t.same([await ask(undefined, 'mutate'), await ask(undefined, 'mutate')], [mutated, mutated], 'what had to be waited for');
    const other = (body: string): string => body.replace('"sample"', '"other"');
    response = { allowed: false, warnings: [] };
    t.same([(await ask(other)).judged, (await ask(other)).judged], [true, true], 'denied');
    response = {};
    for (let number = 0; number < 100; number++) await ask((body) => body.replace('"sample"', `"sample-${number}"`));
    t.same(await ask(), first, 'long ago');
  });
  t.match(await metrics.registry.metrics(), /kollect_admission_repeated_total 8\n/);
});

t.test('metrics count reviews by webhook, operation and outcome', async (t) => {
  const text = await metrics.registry.metrics();
  t.match(text, /kollect_admission_requests_total\{webhook="vkollectinventory\.kb\.io",operation="UPDATE",allowed="true",code="200"\} \d+/);
  t.match(text, /kollect_admission_requests_total\{webhook="vkollectdatabasesink\.kb\.io",operation="CREATE",allowed="false",code="422"\} \d+/);
  t.match(text, /kollect_admission_duration_seconds_count\{webhook="mkollectinventory\.kb\.io"\} \d+/);
  t.match(text, /kollect_admission_bad_requests_total\{code="413"\} 1/);
  t.match(text, /kollect_admission_requests_total\{webhook="unknown",operation="CREATE",allowed="false",code="400"\} 1/);
  t.match(text, /kollect_admission_request_bytes_bucket\{le="7340032"\} \d\d/);
  t.notMatch(text, /sample|team-a|jane/, 'labels are no names out of objects');
});

t.test('a server that is leaving sends its clients elsewhere', async (t) => {
  stopping();
  const { status, headers } = await send(pathOf('validate', 'KollectInventory'), reviewOf(inventory({})));
  t.equal(status, 200);
  t.equal(headers.connection, 'close');
});
