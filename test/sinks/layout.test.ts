import t from 'tap';
import { documentPath } from '../../shared/layout/document-path.ts';
import { effectiveLayout, layoutOf, type LaidOutSpec } from '../../shared/layout/layout.ts';
import { pathSegment, rowPaths, type PathRow } from '../../shared/layout/row-path.ts';

const identity = { namespace: 'team-a', name: 'api', cluster: 'prod-west', generation: 7 };
const deployment: PathRow = { targetNamespace: 'team-a', targetName: 'deployments', namespace: 'team-a', name: 'web', group: 'apps', kind: 'Deployment', uid: 'u1' };

t.test('a document is where its template says', (t) => {
  const pathOf = (spec: LaidOutSpec, part?: { index: number; total: number }, cluster = 'prod-west') => {
    const { document, extension } = layoutOf(spec);
    return documentPath(document, extension, { ...identity, cluster }, part);
  };
  t.equal(pathOf({ type: 'git' }), 'inventory/team-a/api.yaml');
  t.equal(pathOf({ type: 'gitlab', serialization: { format: 'ndjson', compression: 'gzip' } }), 'inventory/team-a/api.ndjson.gz');
  t.equal(pathOf({ type: 's3' }), 'inventory/team-a/api.json');
  t.equal(pathOf({ type: 's3', serialization: { format: 'csv', compression: 'zstd' } }), 'inventory/team-a/api.csv.zst');
  t.equal(pathOf({ type: 's3', objectStore: { format: 'parquet' } }, undefined, 'prod west/ä'), 'inventory/cluster=prod_west__/ns=team-a/name=api/generation=7.parquet');
  t.equal(pathOf({ type: 's3', serialization: { format: 'json' }, objectStore: { format: 'parquet' } }, undefined, ''), 'inventory/team-a/api.json', 'the newer field wins');
  t.equal(pathOf({ type: 'gcs', serialization: { format: 'parquet', compression: 'gzip' }, pathTemplate: ' {cluster}/{namespace}/{name}{extension} ' }, undefined, ''), 'default/team-a/api.parquet');
  t.equal(pathOf({ type: 'git', pathTemplate: 'clusters/{cluster}/{namespace}/{name}-{generation}.json' }), 'clusters/prod-west/team-a/api-7.json');
  const part = { index: 2, total: 3 };
  t.equal(pathOf({ type: 's3' }, part), 'inventory/team-a/api.part-0002-of-0003.json');
  t.equal(pathOf({ type: 's3', serialization: { compression: 'gzip' } }, part), 'inventory/team-a/api.part-0002-of-0003.json.gz');
  t.equal(pathOf({ type: 'git', pathTemplate: '{namespace}/{name}.yml' }, part), 'team-a/api.part-0002-of-0003.yml');
  t.equal(pathOf({ type: 'git', pathTemplate: 'v1.2/{namespace}/{name}' }, part), 'v1.2/team-a/api.part-0002-of-0003');
  t.end();
});

t.test('the file of a row is where its template says', (t) => {
  const pathOf = (row: Partial<PathRow>, layout: LaidOutSpec['layout'] = {}, cluster = 'prod-west') => rowPaths(layoutOf({ type: 'git', layout }), { ...identity, cluster })({ ...deployment, ...row });
  t.equal(pathOf({}), 'prod-west/team-a/deployment/web.yaml');
  t.equal(pathOf({}, undefined, ''), 'default/team-a/deployment/web.yaml');
  t.equal(pathOf({ namespace: '', kind: 'Node', name: 'n1' }), 'prod-west/node/n1.yaml', 'empty parts vanish');
  t.equal(pathOf({}, { filename: { lowercaseKind: false } }), 'prod-west/team-a/Deployment/web.yaml');
  const all = { pathTemplate: '{namespace}-{name}/{generation}/{targetNamespace}/{targetName}/{group}/{kind}_{uid}{extension}' };
  t.equal(pathOf({}, all), 'team-a-api/7/team-a/deployments/apps/deployment_u1.yaml');
  const grouped = (groupInPath: 'auto' | 'always' | 'never', group?: string) => pathOf({ group }, { pathTemplate: '{group}/{sourceName}.txt', filename: { groupInPath } });
  t.strictSame([grouped('auto', 'apps'), grouped('auto'), grouped('always', 'apps'), grouped('always'), grouped('never', 'apps')], ['apps/web.txt', 'web.txt', 'apps/web.txt', 'core/web.txt', 'web.txt']);
  t.equal(pathOf({ name: `${'x'.repeat(40)}.${'y'.repeat(40)}` }, { filename: { maxSegmentLength: 41 } }), `prod-west/team-a/deployment/${'x'.repeat(40)}.yaml`, 'the extension is never cut');
  t.equal(pathOf({ name: 'a/../../b' }), 'prod-west/team-a/deployment/a-----b.yaml');
  t.equal(pathOf({ name: '..', namespace: '../..' }), undefined, 'nothing is left of the name');
  t.equal(pathOf({ name: '.git' }, { pathTemplate: '{sourceName}/{uid}' }), 'git/u1');
  t.end();
});

t.test('a name becomes one part of a path', (t) => {
  const cases: Record<string, string> = { 'a:b\\c': 'a-b-c', '../etc': 'etc', ' x ': 'x', 'a//b': 'a-b', 'a...b': 'a-b', 'system:node:x': 'system-node-x', '-.-a.-': 'a', 'a\n\0b': 'a-b', '...': '', 'a.b': 'a.b' };
  for (const [name, segment] of Object.entries(cases)) t.equal(pathSegment(name, 63), segment, name);
  t.equal(pathSegment('abc-def', 4), 'abc', 'tidied again after the cut');
  t.equal(pathSegment('\u{1f600}\u{1f601}', 1), '\u{1f600}');
  t.end();
});

t.test('what a sink leaves open follows from its rows', (t) => {
  const effective = (layout: LaidOutSpec['layout'], areManifests: boolean) => effectiveLayout(layoutOf({ type: 'git', layout }), areManifests);
  t.strictSame(effective(undefined, false), { mode: 'document', content: 'item', hasIndex: false });
  t.strictSame(effective({ filename: { maxSegmentLength: 40 } }, true), { mode: 'perResource', content: 'manifest', hasIndex: false });
  t.strictSame(effective({ content: 'item' }, true), { mode: 'perResource', content: 'item', hasIndex: false });
  t.strictSame(effective({ mode: 'document' }, true), { mode: 'document', content: 'item', hasIndex: false });
  t.strictSame(effective({ mode: 'perResource' }, true), { mode: 'perResource', content: 'item', hasIndex: false });
  t.strictSame(effective({ mode: 'split' }, false), { mode: 'split', content: 'item', hasIndex: true });
  t.strictSame(effective({ mode: 'split', index: { enabled: false } }, false).hasIndex, false);
  t.strictSame(effective({ mode: 'perResource', index: { enabled: true } }, false).hasIndex, true);
  t.end();
});
