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
