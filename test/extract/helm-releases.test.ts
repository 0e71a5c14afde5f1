import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { decodeHelmRelease } from '../../shared/extract/helm-release.ts';
import { jsonMembers } from '../../shared/extract/json-members.ts';
import type { JsonObject } from '../../shared/extract/json.ts';

/** A release as Helm 3 stores it, written by hand: `cart` 1.2.3, revision 2, deployed. */
const stored =
  'SDRzSUFBQUFBQUFDLzFXTlN3N0RNQWdGNzhMYXNsUzNLeCtrZTJvN2phWEdJT1ArRk9YdWhTd2lkUWZ6SHNNS0RaY0NFUkwyQVc3ZmhERVprcGxZMGF0MHFkUWdCZ2UxVFFSeEJSazRucUtkWFBoQjM1SmhjNUJtYzJpNmxJRVpCOXI4cno5Y2NQTEJuNVVnOC9XQXdWOWdNeE8xcWQ3dHZLdS9KcFQ5ZTc0WlloUjVVOC9hLzJoNyt3SGxpLzN0d3dBQUFBPT0=';

const twice = (bytes: Buffer) => Buffer.from(bytes.toString('base64')).toString('base64');
const secret = (release: unknown): JsonObject => ({ data: { release } }) as JsonObject;

function collected(paths: Record<string, string>, object: JsonObject) {
  const attributes = Object.entries(paths).map(([name, path]) => ({ name, path }));
  return compileProfile({ spec: { targetGVK: { version: 'v1', kind: 'Secret' }, attributes } }).extract(object);
}

t.test('what a release says of itself', async (t) => {
  const fields = ['releaseName', 'chartName', 'chartVersion', 'appVersion', 'revision', 'status', 'config', 'config.db.password', 'chart.metadata.name'];
  const paths = Object.fromEntries([...fields, 'lastDeployed'].map((field) => [field, `helm:release.${field}`]));
  const { attributes, failures } = collected(paths, secret(stored));
  t.match(attributes, { releaseName: 'cart', chartVersion: '1.2.3', appVersion: '2.4', revision: 2, status: 'deployed', lastDeployed: null });
  t.strictSame(attributes.config, { replicas: 2, db: { password: { redacted: true, reason: 'sensitive-key' } } }, 'values are redacted by key');
  t.strictSame(attributes['config.db.password'], { redacted: true, reason: 'sensitive-key' }, 'also when the path ends at one');
  t.strictSame(failures, [{ attribute: 'lastDeployed', message: 'no value' }]);
});

t.test('the data itself stays masked beside them', async (t) => {
  const { attributes } = collected({ name: 'helm:release.releaseName', raw: '$.data.release', all: 'cel:object.data' }, secret(stored));
  t.strictSame(attributes.raw, { redacted: true, reason: 'secret-data' });
  t.notMatch(JSON.stringify(attributes.all), stored.slice(0, 20));
  t.equal(attributes.name, 'cart');
});

t.test('every form in which a release may be stored', async (t) => {
  const json = Buffer.from('{"name":"cart","version":12345678901234567890}');
  for (const [what, text] of [
    ['gzip in two layers of base64', twice(gzipSync(json))],
    ['gzip in one', gzipSync(json).toString('base64')],
    ['plain JSON in two', twice(json)],
    ['plain JSON in one', json.toString('base64')],
  ] as const) {
    t.strictSame(decodeHelmRelease(secret(text)), { name: 'cart', version: 12345678901234567890n }, what);
  }
});

t.test('what is no release fails the attribute and quotes nothing', async (t) => {
  const bomb = twice(gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20)));
  for (const [what, object, message] of [
    ['no data', {}, /no data\.release/],
    ['data of another type', { data: 'canary' }, /no data\.release/],
    ['no release in it', { data: { other: 'canary' } }, /no data\.release/],
    ['a release of another type', secret(7), /no data\.release/],
    ['no base64', secret('canary!'), /not base64/],
    ['broken gzip', secret(twice(Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]))), /not valid gzip/],
    ['no JSON', secret(twice(Buffer.from('canary'))), /not JSON/],
    ['JSON but no document', secret(twice(Buffer.from('["canary"]'))), /no release document/],
    ['a bomb', secret(bomb), /unpacks to more than/],
    ['a bomb without gzip', secret(Buffer.alloc(9 * 1024 * 1024, 0x20).toString('base64')), /has more than 8388608 bytes/],
    ['values beyond reason', secret(twice(gzipSync(JSON.stringify({ name: 'canary', config: 'canary'.repeat(100_000) })))), /more than 524288 bytes besides manifests/],
    ['a broken value', secret(twice(Buffer.from('{"name":canary}'))), /not JSON/],
    ['a broken key', secret(twice(Buffer.from('{"na\nme":"canary"}'))), /not JSON/],
    ['no end', secret(twice(Buffer.from('{"name":"canary","a":[1,2}'))), /not JSON/],
    ['nothing but an object', secret(twice(Buffer.from('{}'))), /no value/],
  ] as const) {
    const { attributes, failures } = collected({ a: 'helm:release.releaseName' }, object as JsonObject);
    t.equal(attributes.a, null, what);
    t.match(failures, [{ attribute: 'a', message }], what);
    t.notMatch(JSON.stringify(failures), 'canary', what);
  }
});

t.test('manifests and the files of a chart are not read, whatever is in them', async (t) => {
  const read = decodeHelmRelease(secret(twice(Buffer.from('{"manifest":[{"}":"]"},"],"],"name":"cart","hooks":[[1]],"chart":{"files":{},"values":{"a":1},"metadata":{"name":"cart"},"raw":""},"config":{"a":{"manifest":"kept"}}}'))));
  t.strictSame(read, { name: 'cart', config: { a: { manifest: 'kept' } }, chart: { metadata: { name: 'cart' } } });
  const large = { name: 'cart', manifest: 'x"\\y{['.repeat(500_000), hooks: Array.from({ length: 200_000 }, () => ({})) };
  t.strictSame(decodeHelmRelease(secret(twice(gzipSync(JSON.stringify(large))))), { name: 'cart' });
});

t.test('members are found where a parser finds them', async (t) => {
  const value = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.dictionary(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a"', '\\', '{', '__proto__')), value, { maxKeys: 6 }), fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        const bytes = Buffer.from(`  ${JSON.stringify(object, undefined, indent)}\n`);
        const found = [...(jsonMembers(bytes) ?? [])].map(([key, { start, end }]) => [key, JSON.parse(bytes.toString('utf8', start, end)) as unknown]);
        return JSON.stringify(found) === JSON.stringify(Object.entries(JSON.parse(bytes.toString('utf8')) as object));
      }),
      { numRuns: 2000 },
    ),
  );
  for (const text of ['', ' ', '[]', '1', '{', '}', '{"a"}', '{"a":1', '{"a":1}}', '{"a":1} {}', '{,}', '{"a":1,}', '{"a":1 "b":2}', '{"a', '{"a\\"}', '{a:1}', '{"a":"\\']) {
    const found = jsonMembers(Buffer.from(text));
    const parses = (part: string): boolean => {
      try {
        JSON.parse(part);
        return true;
      } catch {
        return false;
      }
    };
    t.notOk(found !== undefined && [...found.values()].every(({ start, end }) => parses(text.slice(start, end))) && !parses(text), text);
  }
});
