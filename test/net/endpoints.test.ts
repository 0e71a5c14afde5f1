import { isIPv4 } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { parseGitEndpoint, parseGitLabEndpoint } from '../../shared/api/sinks/git-endpoint.ts';
import { parseHttpEndpoint } from '../../shared/api/sinks/http-endpoint.ts';
import { parseKafkaBroker } from '../../shared/api/sinks/kafka-broker.ts';
import { parseNatsServers } from '../../shared/api/sinks/nats-servers.ts';
import { parseObjectStoreEndpoint } from '../../shared/api/sinks/object-store-endpoint.ts';
import { KollectError } from '../../shared/errors.ts';
import { checkHost, defaultAddressPolicy } from '../../shared/net/address-policy.ts';
import { splitUrl } from '../../shared/net/endpoint.ts';

t.test('a URL is taken apart as it is written', async (t) => {
  t.strictSame(splitUrl('HTTPS://u%40x:p@Git.example.com:8443/a/b@c?d=e&f#g=h#i'), { scheme: 'https', user: 'u%40x:p', host: 'Git.example.com', port: 8443, path: '/a/b@c', query: 'd=e&f', fragment: 'g=h#i' });
  t.strictSame(splitUrl('s3://bucket'), { scheme: 's3', user: undefined, host: 'bucket', port: undefined, path: '', query: '', fragment: '' });
  t.match(splitUrl('nats://[2606:4700::1111]:4222'), { host: '[2606:4700::1111]', port: 4222 });
});

t.test('what two parsers could read differently is no URL', async (t) => {
  for (const text of ['', 'host', '//host/x', 'https:host', 'https:/host', 'https://', 'https:///x', 'https://@/x', 'https://[]/x', 'https://a@b@c/x', 'https://a\\b/x', 'https://a\\@b/x', 'https://a b/x', 'https://a/b c', 'https://a\n.b/x', 'https://a\t/x', 'https://a\u0000b', 'https://a\u00a0b', 'https://a\u200bb', 'https://a:/x', 'https://a:0/x', 'https://a:65536/x', 'https://a:1e3/x', 'https://a:80:80/x', 'https://::1/x', 'https://[::1/x', 'https://::1]/x', 'https://a[::1]/x', '1https://a/x']) {
    t.throws(() => splitUrl(text), { code: 'KOL_API_ENDPOINT' }, JSON.stringify(text));
  }
});

t.test('addresses of each type', async (t) => {
  t.strictSame(parseGitEndpoint('git@github.com:team/r.git#branch=x'), { scheme: 'ssh', user: 'git', host: 'github.com', port: undefined, path: 'team/r.git', query: '', branch: 'x' });
  t.match(parseGitEndpoint('git@[git.example.com:2222]:r.git'), { host: 'git.example.com', port: 2222, path: 'r.git' });
  t.match(parseGitEndpoint('[2606:4700::1111]:r.git'), { user: undefined, host: '[2606:4700::1111]', port: undefined });
  t.match(parseGitEndpoint('ssh://me@h:22/r'), { scheme: 'ssh', user: 'me', port: 22, path: '/r' });
  t.match(parseGitLabEndpoint('https://gitlab.com/a/b/c.git'), { host: 'gitlab.com', path: '/a/b/c.git' });
  t.strictSame(parseObjectStoreEndpoint('s3', 's3://b/p/q/'), { host: undefined, port: undefined, scheme: 'https', user: undefined, bucket: 'b', prefix: 'p/q' });
  t.strictSame(parseObjectStoreEndpoint('s3', 'http://minio:9000/b'), { host: 'minio', port: 9000, scheme: 'http', user: undefined, bucket: 'b', prefix: '' });
  t.match(parseObjectStoreEndpoint('gcs', 'gs://b'), { host: undefined, bucket: 'b' });
  t.match(parseObjectStoreEndpoint('azureblob', 'c/p'), { bucket: 'c', prefix: 'p' });
  t.match(parseHttpEndpoint('https://h/x?y=z'), { host: 'h', path: '/x', query: 'y=z' });
  t.strictSame(parseNatsServers('a, tls://b:1'), [{ scheme: 'nats', user: undefined, host: 'a', port: 4222 }, { scheme: 'tls', user: undefined, host: 'b', port: 1 }]);
  t.strictSame(parseKafkaBroker('kafka://h'), { user: undefined, host: 'h', port: 9092 });
});

/** Hosts that a type would connect to, or undefined when it does not read the text. */
type Reader = (host: string) => readonly (string | undefined)[];
const readers: Readonly<Record<string, Reader>> = {
  'git, https': (host) => [parseGitEndpoint(`https://${host}/r.git`).host],
  'git, ssh': (host) => [parseGitEndpoint(`ssh://git@${host}:22/r.git`).host],
  'git, short': (host) => [parseGitEndpoint(`git@${host}:r.git`).host],
  gitlab: (host) => [parseGitLabEndpoint(`http://${host}/g/p`).host],
  s3: (host) => [parseObjectStoreEndpoint('s3', `https://${host}:9000/b`).host],
  http: (host) => [parseHttpEndpoint(`https://${host}`).host],
  nats: (host) => parseNatsServers(`a.example,${host}:4222`).map((server) => server.host),
  kafka: (host) => [parseKafkaBroker(`${host}:9092`).host],
};

function isRefused(read: Reader, host: string): boolean {
  try {
    return read(host).some((found) => found !== undefined && checkHost(found, defaultAddressPolicy) !== undefined);
  } catch (error) {
    if (error instanceof KollectError && error.code === 'KOL_API_ENDPOINT') return true;
    throw error;
  }
}

/** Addresses that no sink may have. */
const forbidden = fc.oneof(
  fc.tuple(fc.constant(127), fc.nat(255), fc.nat(255), fc.nat(255)),
  fc.tuple(fc.constant(169), fc.constant(254), fc.nat(255), fc.nat(255)),
  fc.tuple(fc.constant(0), fc.nat(255), fc.nat(255), fc.nat(255)),
  fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), fc.nat(255), fc.nat(255)),
  fc.tuple(fc.constant(198), fc.integer({ min: 18, max: 19 }), fc.nat(255), fc.nat(255)),
  fc.constant([168, 63, 129, 16] as const),
);

/** A part of an IPv4 address as inet_aton reads it: decimal, octal or hexadecimal, with any number of zeros before it. */
function number(value: number): fc.Arbitrary<string> {
  const zeros = fc.nat(3).map((count) => '0'.repeat(count));
  return fc.oneof(fc.constant(String(value)), zeros.map((z) => `0${z}${value.toString(8)}`), zeros.map((z) => `0x${z}${value.toString(16)}`), zeros.map((z) => `0X${z}${value.toString(16).toUpperCase()}`));
}

/** All notations of one IPv4 address: one to four parts, of which the last takes the bytes that are left. */
function notations([a, b, c, d]: readonly [number, number, number, number]): fc.Arbitrary<string> {
  const parts = [[a, b, c, d], [a, b, c * 256 + d], [a, (b * 256 + c) * 256 + d], [((a * 256 + b) * 256 + c) * 256 + d]];
  const dotted = fc.constantFrom(...parts).chain((values) => fc.tuple(...values.map(number)).map((texts) => texts.join('.')));
  const wide = dotted.map((text) => text.replaceAll(/[0-9]/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))));
  const hex = (value: number) => value.toString(16);
  const groups = `${hex(a * 256 + b)}:${hex(c * 256 + d)}`;
  const v6 = fc.constantFrom(`[::ffff:${groups}]`, `[::ffff:${a}.${b}.${c}.${d}]`, `[0:0:0:0:0:FFFF:${groups}]`, `[64:ff9b::${groups}]`, `[64:ff9b:1::${groups}]`, `[2002:${groups}::]`, `[::${groups}]`, `[::ffff:${groups}%eth0]`);
  return fc.oneof(dotted, dotted.map((text) => `${text}.`), dotted.map((text) => text.replaceAll('.', '。')), wide, v6);
}

t.test('no spelling of a forbidden address gets through, whatever the type', async (t) => {
  for (const [type, read] of Object.entries(readers)) {
    t.equal(isRefused(read, 'git.example.com'), false, `${type}: names pass`);
    fc.assert(
      fc.property(forbidden.chain(notations), (host) => isRefused(read, host)),
      { numRuns: 500 },
    );
  }
  t.pass();
});

t.test('nothing that a URL parser or resolver takes for such an address gets through', async (t) => {
  const alphabet = fc.constantFrom(...'0127x.fF:[]%@/\\#?e\u3002\uff11\u2460 \t-6n');
  const texts = fc.array(alphabet, { maxLength: 14 }).map((characters) => characters.join(''));
  fc.assert(
    fc.property(texts, (text) => {
      let hostname: string;
      try {
        ({ hostname } = new URL(`http://${text}/r.git`));
      } catch {
        return true;
      }
      const isForbidden = isIPv4(hostname) ? checkHost(hostname, defaultAddressPolicy) !== undefined : hostname.startsWith('[') && checkHost(hostname, defaultAddressPolicy) !== undefined;
      return !isForbidden || isRefused((host) => [parseGitEndpoint(`http://${host}/r.git`).host], text);
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});
