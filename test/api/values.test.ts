import t from 'tap';
import { Duration, formatDuration, parseDuration } from '../../shared/api/duration.ts';
import { KollectDatabaseSink } from '../../shared/api/kollect-database-sink.ts';
import { KollectTarget } from '../../shared/api/kollect-target.ts';
import { matchesSelector } from '../../shared/api/label-selector.ts';
import type { LabelSelector } from '../../shared/api/meta.ts';
import { normaliseSinkRef, SinkRef, sinkBindings } from '../../shared/api/sink-ref.ts';
import { namespaceText } from '../../shared/api/text.ts';

t.test('durations are read by the grammar of Go', async (t) => {
  const hourMs = 3_600_000;
  const valid: [string, number][] = [
    ['0', 0],
    ['-0', 0],
    ['+0', 0],
    ['0s', 0],
    ['30s', 30_000],
    ['1h30m', 1.5 * hourMs],
    ['1m1h', hourMs + 60_000],
    ['1.5h', 1.5 * hourMs],
    ['.5s', 500],
    ['1.s', 1_000],
    ['-5m', -300_000],
    ['+5m', 300_000],
    ['500ms', 500],
    ['250us', 0.25],
    ['250µs', 0.25],
    ['250μs', 0.25],
    ['5ns', 5e-6],
    ['24h', 24 * hourMs],
    ['2562047h', 2_562_047 * hourMs],
  ];
  for (const [text, ms] of valid) {
    t.equal(parseDuration(text), ms, text);
    t.ok(Duration.safeParse(text).success, `the schema takes ${text}`);
  }
});

t.test('what Go does not read as a duration is refused, with the text and the fix', async (t) => {
  for (const text of ['', '5', '00', '1d', '1w', 's', '.s', '.', '-', '+', '1..5s', '1.2.3s', '--1s', '1 s', ' 1s', '1s ', '1S', '1e3s', '30sec', '1s\n', '०s', `${'1'.repeat(80)}s`]) {
    t.throws(() => parseDuration(text), { code: 'KOL_API_DURATION', message: /such as 30s, 1h30m or 500ms/ }, JSON.stringify(text));
    t.notOk(Duration.safeParse(text).success, `the schema refuses ${JSON.stringify(text)}`);
  }
  t.throws(() => parseDuration('2562048h'), { code: 'KOL_API_DURATION', message: /292 years/ }, 'more than an int64 of nanoseconds');
});

t.test('durations have one canonical form', async (t) => {
  const canonical: [string, string][] = [
    ['0', '0s'],
    ['60s', '1m0s'],
    ['3600s', '1h0m0s'],
    ['90m', '1h30m0s'],
    ['24h', '24h0m0s'],
    ['1500ms', '1.5s'],
    ['61.25s', '1m1.25s'],
    ['500000us', '500ms'],
    ['1.5ms', '1.5ms'],
    ['1500ns', '1.5µs'],
    ['7ns', '7ns'],
    ['-90s', '-1m30s'],
    ['59.9999999999s', '1m0s'],
  ];
  for (const [text, expected] of canonical) {
    t.equal(formatDuration(parseDuration(text)), expected, text);
    t.equal(formatDuration(parseDuration(expected)), expected, `${expected} stays`);
  }
});

t.test('label selectors match as in the API server', async (t) => {
  const labels = { app: 'web', tier: '', 'example.com/team': 'a' };
  const expression = (key: string, operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', values?: string[]): LabelSelector => ({
    matchExpressions: [{ key, operator, ...(values === undefined ? {} : { values }) }],
  });
  const cases: [string, LabelSelector | undefined, boolean][] = [
    ['no selector', undefined, true],
    ['an empty selector', {}, true],
    ['an equal label', { matchLabels: { app: 'web' } }, true],
    ['another value', { matchLabels: { app: 'api' } }, false],
    ['an empty value', { matchLabels: { tier: '' } }, true],
    ['a missing label is not an empty one', { matchLabels: { zone: '' } }, false],
    ['all labels are needed', { matchLabels: { app: 'web', zone: 'x' } }, false],
    ['In', expression('app', 'In', ['api', 'web']), true],
    ['In without the value', expression('app', 'In', ['api']), false],
    ['In without the label', expression('zone', 'In', ['x']), false],
    ['NotIn', expression('app', 'NotIn', ['api']), true],
    ['NotIn with the value', expression('app', 'NotIn', ['web']), false],
    ['NotIn without the label', expression('zone', 'NotIn', ['x']), true],
    ['Exists', expression('tier', 'Exists'), true],
    ['Exists without the label', expression('zone', 'Exists'), false],
    ['DoesNotExist', expression('zone', 'DoesNotExist'), true],
    ['DoesNotExist with the label', expression('tier', 'DoesNotExist'), false],
    ['a name of Object.prototype is no label', expression('constructor', 'Exists'), false],
    ['labels and expressions must both hold', { matchLabels: { app: 'web' }, ...expression('zone', 'Exists') }, false],
  ];
  for (const [name, selector, expected] of cases) t.equal(matchesSelector(selector, labels), expected, name);
  t.equal(matchesSelector({ matchLabels: { app: 'web' } }, undefined), false, 'an object without labels');
  t.equal(matchesSelector({}, undefined), true, 'an object without labels, and no requirement');
});

t.test('a sink is referenced by name or by object', async (t) => {
  t.same(normaliseSinkRef('pg'), { name: 'pg' });
  t.same(normaliseSinkRef({ name: 'pg', exportMinInterval: '5m' }), { name: 'pg', exportMinInterval: '5m' });
  t.same(
    sinkBindings({
      eventSinkRefs: ['kafka'],
      databaseSinkRefs: ['pg', { name: 'warehouse', namespace: 'kollect-system', maxExportBytes: 1024 }],
      snapshotSinkRefs: [{ name: 'git' }],
    }),
    [
      { family: 'snapshot', name: 'git' },
      { family: 'database', name: 'pg' },
      { family: 'database', name: 'warehouse', namespace: 'kollect-system', maxExportBytes: 1024 },
      { family: 'event', name: 'kafka' },
    ],
    'in the order of export, whatever the order of the fields',
  );
  t.same(sinkBindings({}), []);
  for (const ref of ['', 3, null, [], {}, { name: '' }, { name: 'pg', exportMinInterval: '5' }, { name: 'pg', maxExportBytes: 1.5 }]) {
    t.notOk(SinkRef.safeParse(ref).success, JSON.stringify(ref));
  }
});

t.test('names of namespaces are DNS labels', async (t) => {
  for (const name of ['a', 'team-a', '0', 'a'.repeat(63)]) t.ok(namespaceText.safeParse(name).success, name);
  for (const name of ['', 'Team', 'a_b', '-a', 'a-', 'a.b', ' a', 'a\n', 'a'.repeat(64)]) t.notOk(namespaceText.safeParse(name).success, JSON.stringify(name));
});

t.test('objects of the API server are parsed with all they carry', async (t) => {
  const object = {
    apiVersion: 'kollect.dev/v1alpha1',
    kind: 'KollectTarget',
    metadata: { name: 'web', namespace: 'team-a', uid: 'u', creationTimestamp: null, managedFields: [{ manager: 'kubectl' }], selfLink: '/x' },
    spec: { profileRef: 'deployments', watchMode: 'All' },
    status: { collectedCount: null },
  };
  t.same(KollectTarget.parse(object), object);
  t.equal(KollectTarget.parse({ ...object, spec: { profileRef: 'p' } }).spec.watchMode, 'All', 'a default that the API server would have set');
});

t.test('a schema says which fields are wrong, all at once', async (t) => {
  const sink = {
    apiVersion: 'kollect.dev/v1alpha1',
    kind: 'KollectDatabaseSink',
    metadata: { name: 'pg' },
    spec: { type: 'oracle', exportMinInterval: '5', postgres: { databaseRef: { name: '' } }, provisioning: { mode: 'never' } },
  };
  const { error } = KollectDatabaseSink.safeParse(sink);
  t.same(
    error?.issues.map(({ path }) => path.join('.')).sort(),
    ['spec.exportMinInterval', 'spec.postgres.databaseRef.name', 'spec.postgres.table', 'spec.provisioning.mode', 'spec.type'],
  );
});
