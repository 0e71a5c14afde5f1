import fc from 'fast-check';
import t from 'tap';
import { kinds } from '../../shared/api/kinds.ts';
import { objectOf, postgresSpec, profileSpec } from '../admission/objects.ts';
import { pathOf, reviewOf, testServer } from './harness.ts';
import type { Answer } from './harness.ts';

const { app, lines } = testServer();
t.teardown(() => app.close());

const kind = fc.constantFrom(...kinds.map((definition) => definition.kind));

/** Texts that parsers, matchers and renderers stumble over. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom('', ' ', '\0', '../..', 'a/b', '{namespace}/{name}', '$', '$..*', '$[?(@', '{.a', 'cel:', 'cel:object', `cel:${'('.repeat(500)}`, `cel:${'[1].map(x, '.repeat(40)}`, 'helm:release.', '-----BEGIN ', '://u:p@', '1h', '-1s', '9'.repeat(400) + 'h', '99999999999999h', '__proto__', 'constructor', 'a'.repeat(5000), 'cel:"a".matches("(a+)+$")', `$${"['a']".repeat(300)}`, '{'.repeat(2000), '\u{1F600}'.repeat(100)),
);
const field = fc.oneof(
  fc.constantFrom('targetGVK', 'version', 'kind', 'group', 'attributes', 'name', 'path', 'export', 'mode', 'prune', 'jsonPointers', 'cel', 'metrics', 'labels', 'profileRef', 'namespace', 'namespaceSelector', 'matchLabels', 'matchExpressions', 'key', 'operator', 'values', 'resourceRules', 'gvk', 'matchPolicy', 'includedNamespaces', 'snapshotSinkRefs', 'databaseSinkRefs', 'eventSinkRefs', 'exportMinInterval', 'maxExportBytes', 'sinkRef', 'type', 'postgres', 'databaseRef', 'table', 'options', 'tls', 'caBundle', 'serialization', 'format', 'pathTemplate', 'provisioning', 'httpEndpoint', '__proto__'),
  text,
);
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, text, fc.double(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(tie('value'), { maxLength: 4 }), fc.dictionary(field, tie('value'), { maxKeys: 4 })),
})).value;
/** A valid spec with one or two places exchanged: closer to what passes the first checks. */
const mutated = fc.tuple(fc.constantFrom<unknown>(postgresSpec(), profileSpec(['$.a', 'cel:object.b']), { profileRef: 'p', includedNamespaces: ['a'], resourceRules: [{ gvk: { version: 'v1', kind: 'Pod' }, matchPolicy: 'true' }] }, { databaseSinkRefs: ['a', { name: 'b' }], exportMinInterval: '1m' }), fc.array(fc.tuple(fc.nat(), value), { minLength: 1, maxLength: 3 })).map(([base, edits]) => {
  const copy = structuredClone(base);
  for (const [at, replacement] of edits) {
    const places: [Record<string, unknown>, string][] = [];
    const walk = (node: unknown) => {
      if (typeof node !== 'object' || node === null) return;
      for (const key of Object.keys(node)) {
        places.push([node as Record<string, unknown>, key]);
        walk((node as Record<string, unknown>)[key]);
      }
    };
    walk(copy);
    const place = places[at % places.length];
    if (place !== undefined) place[0][place[1]] = replacement;
  }
  return copy;
});
const spec = fc.oneof(value, fc.dictionary(field, value, { maxKeys: 8 }), mutated);
const metadata = fc.oneof(value, fc.constant({ name: 'x', namespace: 'team-a', annotations: { 'kollect.dev/allow-secret-extraction': 'true' } }));

t.test('no review crashes the server, stalls it or goes unanswered', async (t) => {
  let slowestMs = 0;
  let allowed = 0;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('validate' as const, 'mutate' as const), kind, spec, metadata, fc.constantFrom('CREATE', 'UPDATE', 'DELETE', 'CONNECT', ''), value, async (phase, name, body, meta, operation, old) => {
      const object = { ...objectOf(name, body), metadata: meta };
      const review = reviewOf({ ...object, metadata: {} }, { object, operation, oldObject: operation === 'UPDATE' ? object : old });
      const started = performance.now();
      const response = await app.inject({ method: 'POST', url: pathOf(phase, name), headers: { 'content-type': 'application/json' }, payload: JSON.stringify(review) });
      slowestMs = Math.max(slowestMs, performance.now() - started);
      const answer = response.json<Answer>().response;
      if (answer.allowed) allowed++;
      return response.statusCode === 200 && answer.uid === review.request.uid && answer.status?.code !== 500 && (answer.allowed || answer.status?.message !== '');
    }),
    { numRuns: 4000 },
  );
  t.same(lines.filter(({ level }) => level === 'error'), []);
  t.ok(allowed > 100, 'some are admitted');
  t.ok(slowestMs < 2000, `the slowest took ${Math.round(slowestMs)} ms`);
});

t.test('no body at all makes the server fail', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.jsonValue().map((json) => JSON.stringify(json)), value.map((request) => JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request }))), async (payload) => {
      const response = await app.inject({ method: 'POST', url: pathOf('validate', 'KollectProfile'), headers: { 'content-type': 'application/json' }, payload });
      return response.statusCode < 500;
    }),
    { numRuns: 1000 },
  );
  t.pass();
});
