import t from 'tap';
import * as z from 'zod';
import { asWarning, duplicate, forbidden, invalid, notSupported, renderFinding, required, sortFindings, tooMany, warning } from '../../shared/admission/finding.ts';
import { policyFinding } from '../../shared/admission/policy.ts';
import { schemaFindings, withoutRefused } from '../../shared/admission/schema-findings.ts';
import { validate } from '../../shared/admission/validate.ts';
import { objectOf } from './objects.ts';

t.test('findings read like field errors of Kubernetes', async (t) => {
  t.equal(renderFinding(required('spec.a', 'write it')), 'spec.a: Required value: write it');
  t.equal(renderFinding(invalid('spec.a', 'x', 'must be y')), 'spec.a: Invalid value: "x": must be y');
  t.equal(renderFinding(invalid('spec.a', -1, 'must be y')), 'spec.a: Invalid value: -1: must be y');
  t.equal(renderFinding(notSupported('spec.a', 'X', ['y', 'z'])), 'spec.a: Unsupported value: "X": supported values: "y", "z"');
  t.equal(renderFinding(notSupported('spec.a', 'mongo', ['mongodb'])), 'spec.a: Unsupported value: "mongo": supported values: "mongodb"; did you mean "mongodb"?');
  t.equal(renderFinding(notSupported('spec.a', 'optin', ['OptIn'])), 'spec.a: Unsupported value: "optin": supported values: "OptIn"; did you mean "OptIn"?');
  t.equal(renderFinding(duplicate('spec.a[1]', 'x')), 'spec.a[1]: Duplicate value: "x"');
  t.equal(renderFinding(forbidden('spec.a', 'why')), 'spec.a: Forbidden: why');
  t.equal(renderFinding(tooMany('spec.a', 21, 'must have at most 20 items')), 'spec.a: Too many: 21: must have at most 20 items');
  t.equal(renderFinding(warning('spec.a', 'why')), 'spec.a: why');
  t.equal(renderFinding(asWarning(invalid('spec.a', 'x', 'y'))), 'spec.a: Invalid value: "x": y');
});

t.test('values are shown without credentials and not at length', async (t) => {
  t.notMatch(renderFinding(invalid('a', 'https://user:canary@host/p', 'd')), /canary/);
  t.notMatch(renderFinding(invalid('a', { dsn: 'host=x password=canary' }, 'd')), /canary/);
  t.notMatch(renderFinding(invalid('a', '-----BEGIN PRIVATE KEY-----canary', 'd')), /canary/);
  t.notMatch(renderFinding(invalid('a', `${'x'.repeat(150)}https://u:canary@h`, 'd')), /canary/, 'also where the text is cut');
  t.ok(renderFinding(invalid('a', 'x'.repeat(1e6), 'd')).length < 300);
});

t.test('errors come first, in the order of their fields', async (t) => {
  const findings = [warning('spec.a', ''), required('spec.list[10]', ''), required('spec.list[2].b', ''), required('spec.list[2]', ''), required('spec.b', ''), required('spec', '')];
  t.same(sortFindings(findings).map(({ field }) => field), ['spec', 'spec.b', 'spec.list[2]', 'spec.list[2].b', 'spec.list[10]', 'spec.a']);
});

const schema = z.object({
  name: z.string().min(1),
  mode: z.enum(['All', 'OptIn']).optional(),
  count: z.int().min(1).max(5).optional(),
  list: z.array(z.union([z.string(), z.strictObject({ name: z.string() })])).max(2).optional(),
  options: z.record(z.string(), z.string()).optional(),
});

function findingsOf(value: unknown): string[] {
  return schemaFindings(schema.safeParse(value).error?.issues ?? [], value, 'spec', schema).map(renderFinding);
}

t.test('a value of another type is told how to be written', async (t) => {
  for (const [kind, spec, said] of [
    ['KollectInventory', { exportMinInterval: 30 }, 'spec.exportMinInterval: Invalid value: 30: must be a string, not a number; write a duration such as "30s"'],
    ['KollectInventory', { maxExportBytes: '10Mi' }, 'spec.maxExportBytes: Invalid value: "10Mi": must be a number, not a string; write 10485760'],
    ['KollectInventory', { maxExportBytes: 'many' }, 'spec.maxExportBytes: Invalid value: "many": must be a number, not a string'],
    ['KollectInventory', { databaseSinkRefs: 'pg' }, 'spec.databaseSinkRefs: Invalid value: "pg": must be a list, not a string; write ["pg"]'],
    ['KollectClusterInventory', { namespaces: ['a'], profileRef: 'kollect-system/p' }, 'spec.profileRef: Invalid value: "kollect-system/p": must be an object, not a string; write {"name":"p","namespace":"kollect-system"}'],
    ['KollectTarget', { profileRef: 'p', suspend: 'true' }, 'spec.suspend: Invalid value: "true": must be a boolean, not a string; write true without quotes'],
    ['KollectInventory', { maxExportBytes: '10MB' }, 'spec.maxExportBytes: Invalid value: "10MB": must be a number, not a string; write 10000000'],
    ['KollectInventory', { databaseSinkRefs: 'pg, lake' }, 'spec.databaseSinkRefs: Invalid value: "pg, lake": must be a list, not a string; write ["pg","lake"]'],
    ['KollectInventory', { databaseSinkRefs: 'postgres://u:canary@h' }, 'spec.databaseSinkRefs: Invalid value: "postgres://***@h": must be a list, not a string'],
    ['KollectInventory', { exportMinInterval: '1 day' }, 'spec.exportMinInterval: Invalid value: "1 day": must be numbers with a unit (ns, us, ms, s, m, h), such as 30s, 1h30m or 500ms; write "24h"'],
    ['KollectInventory', { exportMinInterval: '2d' }, 'spec.exportMinInterval: Invalid value: "2d": must be numbers with a unit (ns, us, ms, s, m, h), such as 30s, 1h30m or 500ms'],
    ['KollectTarget', { profileRef: { name: 'p' } }, 'spec.profileRef: Invalid value: "object": must be a string, not an object; write "p"'],
    ['KollectTarget', { profileRef: '' }, 'spec.profileRef: Required value: name of the KollectProfile, in the namespace of the target'],
    ['KollectInventory', { databaseSinkRefs: [7] }, 'spec.databaseSinkRefs[0]: Invalid value: 7: must be a string or an object, such as "warehouse" or {"name":"warehouse"}'],
    ['KollectClusterInventory', { namespaces: [' '] }, 'spec.namespaces[0]: Required value: write the name of a namespace, or remove the item'],
    ['KollectClusterInventory', { namespaces: ['Team_B'] }, 'spec.namespaces[0]: Invalid value: "Team_B": must be the name of a namespace: lower-case letters, digits and "-", beginning and ending with a letter or digit, such as team-a; write for example "team-b"'],
    ['KollectEventSink', { type: 'kafka', kafka: { brokers: [], topic: 't' } }, 'spec.kafka.brokers: Required value: must have at least 1 item: addresses to begin with, as host:port'],
    ['KollectDatabaseSink', { type: 'postgres', postgres: { databaseRef: { name: 'd' }, table: '"items"' } }, 'spec.postgres.table: Invalid value: "\\"items\\"": must not contain quotes, which Kollect adds itself; write items, without quotes'],
    ['KollectInventory', { exportMinInterval: 'daily' }, 'spec.exportMinInterval: Invalid value: "daily": must be numbers with a unit (ns, us, ms, s, m, h), such as 30s, 1h30m or 500ms'],
    ['KollectConnectionTest', { sinkRef: { databaseSinkRef: 'pg' }, ttlSecondsAfterFinished: '5m' }, 'spec.ttlSecondsAfterFinished: Invalid value: "5m": must be a number, not a string; write 300'],
    ['KollectConnectionTest', { sinkRef: 'pg' }, 'spec.sinkRef: Invalid value: "pg": must be an object, not a string; write {"databaseSinkRef":"pg"}'],
    ['KollectScope', { allowedGVKs: ['apps/v1/Deployment'] }, 'spec.allowedGVKs[0]: Invalid value: "apps/v1/Deployment": must be an object, not a string; write {"group":"apps","version":"v1","kind":"Deployment"}'],
    ['KollectProfile', { targetGVK: 'v1 Secret', attributes: [{ name: 'a', path: '$.a' }] }, 'spec.targetGVK: Invalid value: "v1 Secret": must be an object, not a string; write {"version":"v1","kind":"Secret"}'],
    ['KollectProfile', { targetGVK: { version: 'v1', kind: 'Pod' }, attributes: ['$.metadata.name'] }, 'spec.attributes[0]: Invalid value: "$.metadata.name": must be an object, not a string; write {"name":"name","path":"$.metadata.name"}'],
    ['KollectTarget', { profileRef: 'p', labelSelector: 'app=web,tier=front' }, 'spec.labelSelector: Invalid value: "app=web,tier=front": must be an object, not a string; write {"matchLabels":{"app":"web","tier":"front"}}'],
    ['KollectEventSink', { type: 'kafka', kafka: { brokers: ['k:9092'], topic: 't' }, serialization: { format: 'ndjsn' } }, 'spec.serialization.format: Unsupported value: "ndjsn": supported values: "json"'],
    ['KollectDatabaseSink', { type: 'kafka' }, 'spec.type: Unsupported value: "kafka": supported values: "bigquery", "mongodb", "postgres"; kafka is a type of KollectEventSink'],
    ['KollectSnapshotSink', { type: 'git', endpoint: 'https://git.example.com/r.git', git: { author: 'Jane <jane@example.com>' } }, 'spec.git.author: Invalid value: "Jane <jane@example.com>": must be an object, not a string; write {"name":"Jane","email":"jane@example.com"}'],
    ['KollectTarget', { profileRef: 'p', suspend: 'yes' }, 'spec.suspend: Invalid value: "yes": must be a boolean, not a string; write true without quotes'],
    ['KollectScope', { allowedGVKs: [{ group: 'apps', kind: 'Deployment' }] }, 'spec.allowedGVKs[0].version: Required value: API version, such as v1'],
    ['KollectScope', undefined, 'spec: Required value: write what is wanted of the KollectScope; kubectl explain kollectscope.spec lists its fields'],
    ['KollectProfile', { targetGVK: { version: 'v1' }, attributes: [{ name: 'a', path: '$.a' }] }, 'spec.targetGVK.kind: Required value: kind, such as Deployment'],
    ['KollectSnapshotSink', { type: 'github', endpoint: 'https://github.com/a/b.git' }, 'spec.type: Unsupported value: "github": supported values: "azureblob", "gcs", "git", "gitlab", "http", "s3"; did you mean "git"?'],
  ] as const) {
    t.same(validate(kind, { metadata: { name: 'a', namespace: 'b' }, spec }).filter(({ severity }) => severity === 'error').map(renderFinding), [said]);
  }
});

t.test('a reference without a name is told which of its fields is meant', async (t) => {
  const said = (ref: object) => validate('KollectInventory', objectOf('KollectInventory', { databaseSinkRefs: [ref] })).map(renderFinding);
  t.same(said({ nam: 'x' }), ['spec.databaseSinkRefs[0].nam: Invalid value: "nam": is not a known field; did you mean name?', 'spec.databaseSinkRefs[0].name: Required value: name of the sink, such as warehouse']);
  t.same(said({}), ['spec.databaseSinkRefs[0].name: Required value: name of the sink, such as warehouse']);
});

t.test('what is too large to be judged is told what it has too much of', async (t) => {
  const said = (spec: object) => validate('KollectInventory', objectOf('KollectInventory', spec)).map(renderFinding);
  const rule = 'must have at most 20000 values and 524288 characters, at most 64 levels deep';
  t.same(said({ databaseSinkRefs: Array.from({ length: 20_001 }, () => 'a') }), [`spec: Too many: more than 20000 values: ${rule}`]);
  t.same(said({ exportMinInterval: 'x'.repeat(600_000) }), [`spec: Too many: more than 524288 characters: ${rule}`]);
  t.same(said({ databaseSinkRefs: JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`) as unknown }), [`spec: Too many: more than 64 levels: ${rule}`]);
});

t.test('what a schema refuses becomes field errors', async (t) => {
  t.same(findingsOf({}), ['spec.name: Required value']);
  t.same(findingsOf({ name: '' }), ['spec.name: Required value: must not be empty']);
  t.same(findingsOf({ name: 7 }), ['spec.name: Invalid value: 7: must be a string, not a number; write it in quotes: "7"']);
  t.same(findingsOf({ name: 'x', mode: 'optin' }), ['spec.mode: Unsupported value: "optin": supported values: "All", "OptIn"; did you mean "OptIn"?']);
  t.same(findingsOf({ name: 'x', count: 0 }), ['spec.count: Invalid value: 0: must be at least 1']);
  t.same(findingsOf({ name: 'x', count: 1.5 }), ['spec.count: Invalid value: 1.5: must be a whole number']);
  t.same(findingsOf({ name: 'x', list: ['a', 'b', 'c'] }), ['spec.list: Too many: 3: must have at most 2 items']);
  t.same(findingsOf({ name: 'x', list: [7, {}] }), ['spec.list[0]: Invalid value: 7: must be a string or an object', 'spec.list[1].name: Required value']);
  t.same(findingsOf({ name: 'x', list: [{ name: 'a', nmae: 'b' }] }), ['spec.list[0].nmae: Invalid value: "b": is not a known field']);
  t.same(findingsOf({ name: 'x', options: { 'a.b': 1 } }), ['spec.options[a.b]: Invalid value: 1: must be a string, not a number; write it in quotes: "1"']);
  t.same(findingsOf('x'), ['spec: Invalid value: "x": must be an object, not a string']);
});

t.test('rules see what a schema left', async (t) => {
  const value = { name: 7, mode: 'All', list: ['a', 7, { name: 'b', extra: 1 }], options: { a: 1, b: 'c' } };
  t.same(withoutRefused(value, schema.safeParse(value).error?.issues ?? []), { mode: 'All', options: { b: 'c' } });
  t.same(withoutRefused({ name: 'x', one: { name: 'a', extra: 1 } }, z.object({ one: z.strictObject({ name: z.string() }) }).safeParse({ one: { name: 'a', extra: 1 } }).error?.issues ?? []), { name: 'x', one: { name: 'a' } });
  t.same(withoutRefused({ name: 'x', list: ['a', 7] }, schema.safeParse({ name: 'x', list: ['a', 7] }).error?.issues ?? []), { name: 'x', list: ['a', undefined] });
  t.equal(withoutRefused(7, schema.safeParse(7).error?.issues ?? []), undefined);
});

t.test('a tenant installation refuses what collects from the whole cluster', async (t) => {
  const installation = { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: true };
  t.match(policyFinding('KollectClusterTarget', installation), { field: 'kind', rule: 'tenant-mode', policy: true, detail: /use KollectTarget/ });
  t.match(policyFinding('KollectClusterInventory', installation), { detail: /use KollectInventory/ });
  t.equal(policyFinding('KollectTarget', installation), undefined);
  t.equal(policyFinding('KollectClusterTarget', { ...installation, tenantMode: false }), undefined);
});
