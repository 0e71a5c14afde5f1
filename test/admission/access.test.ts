import t from 'tap';
import { z } from 'zod';
import { accessQuestions } from '../../shared/admission/state/access-questions.ts';
import { objectLookups } from '../../shared/admission/state/object-lookups.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { kinds } from '../../shared/api/kinds.ts';
import { objectOf, profileSpec } from './objects.ts';

const nothing = objectLookups([]);
const asks = (kind: string, spec: unknown, old?: unknown) => accessQuestions({ kind, object: objectOf(kind, spec), namespace: 'team-a', old: old === undefined ? undefined : objectOf(kind, old) }, nothing);

interface Schema {
  properties?: Record<string, Schema>;
}

/** Paths of all fields that name an object with its namespace. */
function* references(schema: Schema, path: string[] = []): Generator<string[]> {
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    if (inner.properties?.['name'] !== undefined && inner.properties['namespace'] !== undefined) yield [...path, key];
    else yield* references(inner, [...path, key]);
  }
}

t.test('every field of a sink that names a Secret is asked about, when the Secret is elsewhere', async (t) => {
  for (const { kind, spec } of kinds.filter((definition) => definition.kind.endsWith('Sink'))) {
    const paths = [...references(z.toJSONSchema(spec, { unrepresentable: 'any' }) as Schema)];
    t.ok(paths.length >= 4, `${kind} has ${paths.length}`);
    for (const path of paths) {
      const nested = (namespace: string) => path.toReversed().reduce<unknown>((inner, key) => ({ [key]: inner }), { name: 's', namespace });
      const field = `spec.${path.join('.')}`;
      t.same(asks(kind, nested('elsewhere')), [{ field, verb: 'get', resource: { group: '', plural: 'secrets' }, name: 's', namespaces: ['elsewhere'] }], field);
      t.same(asks(kind, nested('team-a')), [], `${field} in its own namespace`);
      t.same(asks(kind, nested('elsewhere'), nested('elsewhere')), [], `${field} unchanged`);
    }
  }
});

t.test('namespaces beyond counting are one question', async (t) => {
  const deployments = objectOf('KollectProfile', profileSpec(['$.a']), { name: 'p' }) as KubeObject;
  const many = Array.from({ length: 51 }, (_, index) => `n${index}`);
  const namespacesOf = (spec: object) => accessQuestions({ kind: 'KollectTarget', object: objectOf('KollectTarget', { profileRef: 'p', ...spec }), namespace: 'team-a' }, objectLookups([deployments])).map(({ namespaces }) => namespaces);
  t.same(namespacesOf({ includedNamespaces: many.slice(0, 50) })[0]?.length, 50);
  t.same(namespacesOf({ includedNamespaces: many }), ['cluster']);
  t.same(namespacesOf({ includedNamespaces: many.slice(0, 2), namespaceSelector: {} }), [['n0', 'n1']], 'a selector finds no more than what is named');
  const targets = many.map((name) => objectOf('KollectTarget', { profileRef: 'p', includedNamespaces: [name] }, { name }) as KubeObject);
  const ofProfile = (count: number) => accessQuestions({ kind: 'KollectProfile', object: deployments, namespace: 'team-a' }, objectLookups(targets.slice(0, count))).map(({ namespaces }) => namespaces);
  t.same(ofProfile(0), []);
  t.same(ofProfile(2), [['n0', 'n1']]);
  t.same(ofProfile(51), ['cluster']);
});

t.test('every kind that a target collects is asked about: those of its rules, or else that of its profile', async (t) => {
  const kindsOf = (kind: string, spec: object, old?: object) =>
    accessQuestions({ kind, object: objectOf(kind, spec), namespace: 'team-a', old: old && objectOf(kind, old) }, objectLookups([objectOf('KollectProfile', profileSpec(['$.a']), { name: 'p' }) as KubeObject])).map(({ field, resource, namespaces }) => [field, 'kind' in resource && resource.kind.kind, namespaces]);
  const maps = { gvk: { group: 'Core', version: 'v1', kind: 'ConfigMap' } };
  const nodes = { gvk: { version: 'v1', kind: 'Node' } };
  const deployments = { gvk: { group: 'apps', version: 'v1', kind: 'Deployment' } };
  const forms = [
    ['KollectTarget', { profileRef: 'p' }, []],
    ['KollectClusterTarget', { profileRef: { name: 'p', namespace: 'team-a' }, namespaceSelector: { matchLabels: { a: 'b' } } }, 'cluster'],
  ] as const;
  for (const [kind, spec, where] of forms) {
    const [first, second] = ['spec.resourceRules[0].gvk', 'spec.resourceRules[1].gvk'];
    const both = { ...spec, resourceRules: [maps, nodes, maps] };
    t.strictSame(kindsOf(kind, both), [[first, 'ConfigMap', where], [second, 'Node', where]], 'each once, and not that of the profile');
    t.strictSame(kindsOf(kind, { ...spec, resourceRules: [{ matchLabels: { a: 'b' } }, maps] }), [[first, 'Deployment', where], [second, 'ConfigMap', where]], 'a rule without a kind is about that of the profile');
    t.strictSame(kindsOf(kind, both, { ...spec, resourceRules: [maps] }), [[second, 'Node', where]], 'a kind more');
    t.strictSame(kindsOf(kind, both, spec), [[first, 'ConfigMap', where], [second, 'Node', where]], 'rules for the first time');
    t.strictSame(kindsOf(kind, { ...spec, resourceRules: [deployments] }, spec), [], 'the same kind by a rule');
    t.strictSame(kindsOf(kind, { ...spec, resourceRules: [maps] }, both), [], 'a kind less');
    t.equal(kindsOf(kind, spec, { ...spec, resourceRules: [{ ...deployments, names: ['a'] }] }).length, 1, 'all objects of the kind, no more some');
    t.equal(kindsOf(kind, { ...spec, resourceRules: [deployments] }, { ...spec, resourceRules: [{ names: ['a'] }] }).length, 1, 'the same, named otherwise');
  }
  t.strictSame(kindsOf('KollectTarget', { profileRef: 'p', includedNamespaces: ['n1', 'n2'], resourceRules: [maps] }, { profileRef: 'p', includedNamespaces: ['n1'], resourceRules: [maps] }), [['spec.resourceRules[0].gvk', 'ConfigMap', ['n2']]], 'a namespace more');
  t.strictSame(kindsOf('KollectTarget', { profileRef: 'missing', resourceRules: [nodes] }), [['spec.resourceRules[0].gvk', 'Node', []]], 'a kind that is known without the profile');
});

t.test('whoever makes a target find or read more is asked anew, whoever only stops or bounds it is not', async (t) => {
  const configMaps = { gvk: { version: 'v1', kind: 'ConfigMap' } };
  const before = { profileRef: 'p', namespaceSelector: {}, labelSelector: { matchLabels: { app: 'web' } }, resourceRules: [{ ...configMaps, names: ['a'] }] };
  const { labelSelector: _, ...wide } = before;
  for (const [what, after, asked] of [
    ['nothing', before, false],
    ['suspended', { ...before, suspend: true }, false],
    ['a limit', { ...before, limits: { maxRows: 1 } }, false],
    ['one namespace only', { ...before, includedNamespaces: ['team-a'] }, false],
    ['no selector', wide, true],
    ['another profile', { ...before, profileRef: 'q' }, true],
    ['other objects of a kind', { ...before, resourceRules: [{ ...configMaps, names: ['a', 'b'] }] }, true],
    ['other objects of a kind in another spelling', { ...before, resourceRules: [{ gvk: { group: 'Core', version: 'v1', kind: 'ConfigMap' }, names: ['b'] }] }, true],
    ['a second rule for a kind', { ...before, resourceRules: [...before.resourceRules, configMaps] }, true],
  ] as const) {
    t.equal(asks('KollectTarget', after, before).length > 0, asked, what);
  }
});

t.test('the writer of a profile is asked about the kinds that its targets name', async (t) => {
  const profile = objectOf('KollectProfile', profileSpec(['$.a']), { name: 'p' });
  const asked = (...specs: object[]) => {
    const targets = specs.map((spec, index) => objectOf('KollectTarget', { profileRef: 'p', ...spec }, { name: `t${index}` }) as KubeObject);
    const rollup = objectOf('KollectClusterTarget', { profileRef: { name: 'p', namespace: 'team-a' }, namespaceSelector: { matchLabels: { a: 'b' } }, resourceRules: [rule('Node')] }) as KubeObject;
    return accessQuestions({ kind: 'KollectProfile', object: profile, namespace: 'team-a', old: objectOf('KollectProfile', profileSpec(['$.b']), { name: 'p' }) }, objectLookups([...targets, rollup]))
      .map(({ field, resource, namespaces }) => `${field} ${'kind' in resource ? resource.kind.kind : `${resource.group}/${resource.plural}`} ${namespaces}`)
      .sort();
  };
  const rule = (kind: string) => ({ gvk: { version: 'v1', kind } });
  t.strictSame(asked(), ['spec Node cluster']);
  t.strictSame(asked({ includedNamespaces: ['n1'] }, { includedNamespaces: ['n2'], resourceRules: [rule('Pod')] }, { includedNamespaces: ['n3'], resourceRules: [rule('Pod')] }), ['spec Node cluster', 'spec Pod n2,n3', 'spec.targetGVK Deployment n1']);
  const kinds = (count: number, from = 0) => ({ resourceRules: Array.from({ length: count }, (_, index) => rule(`K${from + index}`)) });
  t.equal(asked(kinds(99)).length, 100);
  t.strictSame(asked(kinds(99), kinds(1, 99)), ['spec */* cluster'], 'kinds beyond counting are one question');
  t.ok(asked(...Array.from({ length: 1_001 }, () => ({})), { includedNamespaces: ['n1'], resourceRules: [rule('Pod')] }).includes('spec Pod cluster'), 'of targets beyond counting the kinds are asked about');
});
