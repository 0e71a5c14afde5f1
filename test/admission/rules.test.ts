import { ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3';
import { objectStoreOptionForms } from '../../shared/api/sinks/object-store.ts';
import t from 'tap';
import { rulesOf } from '../../shared/admission/rules/registry.ts';
import { stateRulesOf } from '../../shared/admission/state/registry.ts';
import { kinds } from '../../shared/api/kinds.ts';
import { judgeVector } from './judge-vector.ts';
import { allVectors } from './vectors/all.ts';

t.test('each rule can be looked up by its name', async (t) => {
  for (const { kind } of kinds) {
    const rules = [...rulesOf(kind), ...stateRulesOf(kind)];
    t.ok(rulesOf(kind).length > 0, kind);
    const ids = rules.map(({ id }) => id);
    t.same(ids.filter((id, index) => ids.indexOf(id) !== index), [], `${kind}: no name twice`);
    t.same(ids.filter((id) => id === 'schema' || !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id)), [], `${kind}: names in kebab-case`);
    t.same(rules.filter(({ field }) => !/^(spec|metadata)\b/.test(field)).map(({ id }) => id), [], `${kind}: fields of the object`);
    t.same(rules.filter(({ asks }) => !/^\S.*\.$/.test(asks)).map(({ id }) => id), [], `${kind}: a sentence each`);
  }
});

const found = allVectors.flatMap((vector) => judgeVector(vector).findings.map((finding) => ({ ...finding, kind: vector.kind, isUpdate: vector.old !== undefined })));

/** Rules that refuse what they know to be wrong, and warn of what may be. */
const bothWays: ReadonlySet<string> = new Set(['equal-paths', 'scope-namespaces']);

t.test('a rule that advises never refuses, and no other one only warns', async (t) => {
  for (const { kind } of kinds) {
    for (const { id, advises } of [...rulesOf(kind), ...stateRulesOf(kind)]) {
      // What was stored once is warned about by every rule.
      const severities = new Set(found.filter((finding) => finding.kind === kind && finding.rule === id && !finding.isUpdate).map(({ severity }) => severity));
      if (severities.size > 0 && !bothWays.has(id)) t.same([...severities], [advises === true ? 'warning' : 'error'], `${kind}: ${id}`);
    }
  }
});

t.test('each rule is broken by a vector, and kept by another', async (t) => {
  // Kinds share rules: one of them is enough to break it.
  const broken = new Set(kinds.flatMap(({ kind }) => rulesOf(kind).filter(({ id }) => found.some((finding) => finding.kind === kind && finding.rule === id))));
  for (const { kind } of kinds) {
    t.same(rulesOf(kind).filter((rule) => !broken.has(rule)).map(({ id }) => id), [], `${kind}: rules that no vector breaks`);
    // These depend on what is around an object, which differs from kind to kind.
    t.same(stateRulesOf(kind).filter(({ id }) => !found.some((finding) => finding.kind === kind && finding.rule === id)).map(({ id }) => id), [], `${kind}: rules over other objects that no vector breaks`);
    t.ok(allVectors.some((vector) => vector.kind === kind && (vector.errors ?? []).length === 0 && vector.code === undefined), `${kind}: an admitted one`);
  }
});

t.test('options of s3 may be what its client knows', async (t) => {
  const { storageClass, sse } = objectStoreOptionForms.s3;
  for (const one of Object.values(StorageClass)) t.ok(storageClass?.isValid(one), one);
  for (const one of Object.values(ServerSideEncryption)) t.ok(sse?.isValid(one), one);
});
