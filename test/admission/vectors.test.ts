import t from 'tap';
import { z } from 'zod';
import { rememberingJudge } from '../../shared/admission/expressions.ts';
import { renderFinding } from '../../shared/admission/finding.ts';
import { judgeObject } from '../../shared/admission/judge-object.ts';
import { objectLookups } from '../../shared/admission/state/object-lookups.ts';
import { validate } from '../../shared/admission/validate.ts';
import { kinds } from '../../shared/api/kinds.ts';
import { structuralSchema } from '../../shared/crd/structural-schema.ts';
import type { StructuralSchema } from '../../shared/crd/structural-schema.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { judgeVector, policyOf } from './judge-vector.ts';
import { objectOf, postgresSpec, profileSpec, secretGvk } from './objects.ts';
import { allVectors } from './vectors/all.ts';
import { secretWord } from './vectors/vector.ts';

t.test('every vector has a name of its own', async (t) => {
  const names = allVectors.map(({ name }) => name);
  t.same(names.filter((name, index) => names.indexOf(name) !== index), []);
});

t.test('what is around an object could be applied, too', async (t) => {
  for (const vector of allVectors) {
    const { addresses, maxExportBytes } = policyOf(vector);
    const wrong = (vector.cluster ?? []).flatMap((object) => validate(object.kind, object, { policy: addresses, maxExportBytes }).filter(({ severity }) => severity === 'error').map(renderFinding));
    if (wrong.length > 0) t.fail(`${vector.name}: ${wrong.join('; ')}`);
  }
});

for (const [kind, vectors] of Map.groupBy(allVectors, (vector) => vector.kind)) {
  t.test(`${kind}: what the rules say`, async (t) => {
    for (const vector of vectors) {
      const { findings, stored } = judgeVector(vector);
      const rendered = findings.map(renderFinding).join('\n');
      const fields = (severity: string) => findings.filter((finding) => finding.severity === severity).map(({ field }) => field);
      t.same(fields('error'), vector.errors ?? [], `${vector.name}: errors\n${rendered}`);
      t.same(fields('warning'), vector.warnings ?? [], `${vector.name}: warnings\n${rendered}`);
      t.ok(findings.every(({ rule }) => rule !== undefined), `${vector.name}: each finding names its rule`);
      for (const text of vector.says ?? []) t.match(rendered, text, `${vector.name}: says ${String(text)}`);
      const errors = findings.filter(({ severity }) => severity === 'error');
      if (errors.length > 0) t.equal(errors.every(({ policy }) => policy) ? 403 : 422, vector.code ?? 422, `${vector.name}: code`);
      if (vector.stored !== undefined) t.has(stored['spec'], vector.stored, `${vector.name}: stored`);
    }
  });
}

t.test('no finding shows a credential', async (t) => {
  const specs = [
    postgresSpec({ options: { password: 'canary', proxy: 'http://u:canary@h' }, endpoint: 'postgres://u:canary@db/x', serialization: { format: 'x://u:canary@h' } }),
    postgresSpec({ type: 'postgres://u:canary@h', pathTemplate: 'https://u:canary@h/{x}', exportMinInterval: 'password=canary' }),
    postgresSpec({ postgres: { databaseRef: { name: 'postgres://u:canary@h/db' }, table: 'token: canary.x' } }),
  ];
  for (const spec of specs) {
    const rendered = validate('KollectDatabaseSink', objectOf('KollectDatabaseSink', spec)).map(renderFinding).join('\n');
    t.not(rendered, '');
    t.notMatch(rendered, /canary/);
  }
});

t.test('no finding shows a credential of another object', async (t) => {
  for (const endpoint of ['https://jane:canary@git.example.com/a/b.git', 'https://jane:can/canary@git.example.com/a/b.git', 'https://canary/canary@git.example.com/a/b.git', 'https://canary@git.example.com/a/b.git', 'jane:canary/canary@git.example.com/b']) {
    for (const layout of [{ pathTemplate: 'all' }, { layout: { mode: 'split', pathTemplate: '{uid}' } }]) {
      const spec = { type: 'git', git: {}, connectionTest: true, endpoint, ...layout };
      const uses = (name: string, namespace: string) => objectOf('KollectInventory', { exportMinInterval: '30s', snapshotSinkRefs: [{ name: 's' }] }, { name, namespace }) as KubeObject;
      const lookups = objectLookups([...['team-a', 'team-b'].map((namespace) => objectOf('KollectSnapshotSink', spec, { name: 's', namespace }) as KubeObject), uses('other', 'team-b')]);
      const findings = judgeObject({ kind: 'KollectInventory', object: uses('sample', 'team-a'), namespace: 'team-a' }, { installation: policyOf({}), expressions: rememberingJudge(), lookups });
      t.match(findings, [{ rule: 'equal-paths' }], endpoint);
      t.notMatch(findings.map(renderFinding).join('\n'), /canary/, endpoint);
    }
  }
});

/** Paths of all texts in a schema; `0` for the items of a list. */
function* textsIn(schema: StructuralSchema, path: string[] = []): Generator<string[]> {
  for (const [key, member] of Object.entries(schema.properties ?? {})) {
    const [place, at] = member.items === undefined ? [member, [...path, key]] : [member.items, [...path, key, '0']];
    if (place.properties === undefined) yield at;
    else yield* textsIn(place, at);
  }
}

function specWith(path: readonly string[], text: string): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return text;
  return key === '0' ? [specWith(rest, text)] : { [key]: specWith(rest, text) };
}

t.test('nor does any that speaks of a text in the wrong place', async (t) => {
  const credentials = ['user:canary@db', 'host=db password=canary', 'token=canary/v1', '"password":"canary x canary"', "'client_secret': 'canary'", '"token":"canary"', 'https://u:canary@h/x', 'eyJhbGciOiJIUzI1NiJ9.canary.canary', 'Bearer canary01234567', 'Basic canary01234567', '--password canary1', '--db-password=canary1', 'mysql -pcanary1 x', 'https://hooks.slack.com/services/T000/B000/canary', 'glpat-canary012345', '-----BEGIN PRIVATE KEY-----canary'];
  const texts = credentials.flatMap((text) => [text, `{${text}}`, `a/b/${text}`]);
  // Texts of which a message may correct some part.
  const expressions = [...texts, ...credentials.flatMap((text) => [`{{${text}}}`, `$.a[${text}]`, `$.a ${text}`, `$.a[?(@.b=${text})]`, `.a}${text}`, `helm:release.${text}`, `cel:object.a == ${text}`, `cel ${text}`, `object.${text}`, `{"a":{${text}}}`])];
  let said = 0;
  for (const { kind, spec } of kinds) {
    const types = spec instanceof z.ZodObject && spec.shape['type'] instanceof z.ZodEnum ? spec.shape['type'].options : [undefined];
    for (const path of textsIn(structuralSchema(spec))) {
      for (const text of /path|cel|matchPolicy/i.test(path.join()) ? expressions : texts) {
        for (const type of types) {
          const findings = validate(kind, objectOf(kind, { ...(type === undefined ? {} : { type }), ...(specWith(path, text) as object) }));
          said += findings.length;
          for (const finding of findings) if (renderFinding(finding).includes('canary')) t.fail(`${kind} ${finding.rule}: ${renderFinding(finding)}`);
        }
      }
    }
  }
  t.ok(said > 5_000, `${said} findings`);
});

t.test('what a message writes instead passes in its place', async (t) => {
  let followed = 0;
  for (const vector of allVectors) {
    for (const { severity, field, detail, rule } of judgeVector(vector).findings) {
      const [, written] = /(?:write|write for example|did you mean|such as) ("(?:[^"\\]|\\.)+")/.exec(detail) ?? [];
      // What is quoted there is a part of the value, or may be written beside it.
      if (severity !== 'error' || written === undefined || !/\w/.test(written) || detail.includes('annotation')) continue;
      const object = structuredClone(vector.object);
      if (!place(object, field, JSON.parse(written))) continue;
      followed++;
      const again = judgeVector({ ...vector, object }).findings.filter((finding) => finding.field === field && finding.rule === rule && finding.severity === 'error');
      t.strictSame(again.map(renderFinding), [], `${vector.name}: ${field}: ${detail}`);
    }
  }
  t.ok(followed > 100, `${followed} hints`);
});

/** Puts a value in the place of a field; false where there is none. */
function place(object: object, field: string, value: unknown): boolean {
  const keys = field.split(/[.[\]]+/).filter((key) => key !== '');
  const last = keys.pop() ?? '';
  const parent = keys.reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], object);
  if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, last)) return false;
  (parent as Record<string, unknown>)[last] = value;
  return true;
}

t.test('credentials are among what vectors write, so that a test can miss them in what is said', async (t) => {
  t.ok(allVectors.filter((vector) => JSON.stringify(vector).includes(secretWord)).length > 20);
  for (const vector of allVectors) {
    const said = judgeVector(vector).findings.map(renderFinding).join('\n');
    if (said.includes(secretWord)) t.fail(`${vector.name}: ${said}`);
  }
});

t.test('references are judged as strings, too, when nobody has made objects of them', async (t) => {
  const fields = (spec: object) => validate('KollectInventory', objectOf('KollectInventory', spec)).map(({ field }) => field);
  t.same(fields({ databaseSinkRefs: ['other/sink'], snapshotSinkRefs: [{ name: 'g' }, 'g'] }), ['spec.databaseSinkRefs[0]', 'spec.snapshotSinkRefs[1]']);
});

const update = (kind: string, old: object, object: object) => judgeObject({ kind, object, old, namespace: 'team-a' }, { installation: policyOf({}), expressions: rememberingJudge(), lookups: objectLookups([]) });

t.test('an unchanged spec is not refused for a rule that came later', async (t) => {
  const old = objectOf('KollectInventory', { databaseSinkRefs: ['a/b'] });
  const stored = objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'a/b' }], exportMinInterval: '30s' }, { annotations: { 'kollect.dev/reconcile': '1' } });
  const tolerated = update('KollectInventory', old, stored);
  t.match(tolerated, [{ severity: 'warning', field: 'spec.databaseSinkRefs[0].name' }]);
  t.match(tolerated.map(renderFinding).join(), 'spec.databaseSinkRefs[0].name: Invalid value: "a/b"');
  t.match(update('KollectInventory', old, objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'a/c' }] })), [{ severity: 'error' }], 'a changed one is');

  const secrets = profileSpec(['$.data.x'], { targetGVK: secretGvk });
  const consented = objectOf('KollectProfile', secrets, { annotations: { 'kollect.dev/allow-secret-extraction': 'true' } });
  t.match(update('KollectProfile', consented, objectOf('KollectProfile', secrets)), [{ severity: 'error' }], 'nor may consent be taken back');
});

t.test('values of any shape give findings, never exceptions', async (t) => {
  for (const object of [null, undefined, 1, 'x', [], {}, { spec: null }, { spec: [] }, { spec: 'x', metadata: 7 }]) {
    for (const kind of ['KollectProfile', 'KollectInventory', 'KollectDatabaseSink', 'KollectScope', 'Unknown']) {
      t.ok(validate(kind, object).some(({ severity }) => severity === 'error'), `${kind} ${JSON.stringify(object)}`);
    }
  }
  const deep = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`) as unknown;
  t.match(validate('KollectInventory', objectOf('KollectInventory', { databaseSinkRefs: deep })), [{ field: 'spec', type: 'TooMany' }]);
  t.match(validate('KollectInventory', objectOf('KollectInventory', { databaseSinkRefs: Array.from({ length: 100_000 }, () => 0) })), [{ field: 'spec', type: 'TooMany' }]);
});
