import type { SinkType } from '../../../shared/api/sink-types.ts';
import { each, settings, sinkVector } from './sink-objects.ts';
import type { Vector } from './vector.ts';

/** Where a type writes the address of a host, and under which field it is refused. */
const places: Readonly<Partial<Record<SinkType, { field: string; at: (host: string) => Record<string, unknown> }>>> = {
  git: { field: 'spec.endpoint', at: (host) => ({ endpoint: `https://${host}/r.git` }) },
  gitlab: { field: 'spec.endpoint', at: (host) => ({ endpoint: `http://${host}:8443/g/r.git` }) },
  s3: { field: 'spec.endpoint', at: (host) => ({ endpoint: `https://${host}:9000/bucket/prefix` }) },
  gcs: { field: 'spec.endpoint', at: (host) => ({ endpoint: `https://${host}/bucket` }) },
  azureblob: { field: 'spec.endpoint', at: (host) => ({ endpoint: `http://${host}:10000/container` }) },
  http: { field: 'spec.endpoint', at: (host) => ({ endpoint: `https://${host}/hook?a=b` }) },
  nats: { field: 'spec.nats.url', at: (host) => settings('nats', { url: `nats://a.example:4222,nats://${host}:4222` }) },
  kafka: { field: 'spec.kafka.brokers[1]', at: (host) => settings('kafka', { brokers: ['a.example:9092', `${host}:9092`] }) },
};
const types = Object.keys(places) as (keyof typeof places)[];

/** Loopback, metadata, link-local and the like in all the spellings that some resolver understands. */
const neverAllowed = [
  'localhost', 'LocalHost', 'localhost.', 'a.localhost', 'localhost.localdomain', '127.0.0.1', '127.8.9.1', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '0X7F.0.0.0x1', '127.0.0.1.', '.127.0.0.1', '[::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]', '[64:ff9b::127.0.0.1]', '[2002:7f00:1::1]', '１２７.0.0.1', '①②⑦.0.0.1', '127。0。0。1', 'ⓛocalhost', '%31%32%37.0.0.1', 'loc%61lhost',
  '0.0.0.0', '0', '0.1.2.3', '[::]', 'metadata', 'metadata.google.internal', 'METADATA.google.internal.', 'metadata.goog', 'instance-data', 'instance-data.ec2.internal', '169.254.169.254', '169.254.169.254.', '0xa9fea9fe', '2852039166', '0251.0376.0251.0376', '[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[64:ff9b::a9fe:a9fe]', '[64:ff9b:1::a9fe:a9fe]', '[2002:a9fe:a9fe::]', '[2001:0:4136:e378:8000:63bf:3fff:fdd2]', '[fd00:ec2::254]', '[fd00:ec2::254%eth0]', '[fd00:ec2::23]', '[fd20:ce::254]', '168.63.129.16', '100.100.100.200', '169.254.170.2', '169.254.1.1', '[fe80::1]', '[fe80::1%25eth0]', '[fe80::1%eth0]',
  '100.64.0.1', '[::ffff:100.64.0.1]', '198.18.0.1', '198.19.255.255', '[::ffff:198.18.0.1]', '224.0.0.1', '239.1.2.3', '[ff02::1]', '[ff0e::1]', '240.0.0.1', '255.255.255.255', '1.2.3.4.5', '256.0.0.1', '4294967296', '-x.example', 'a..b', '[2606:4700::1111%eth0]',
];
const everyType = ['localhost', '127.0.0.1', '127.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', '169.254.169.254', 'metadata.google.internal', '[fd00:ec2::254]', '100.64.0.1', '0.0.0.0', '%31%32%37.0.0.1'];
const privateHosts = ['10.10.10.10', '172.16.9.9', '192.168.1.1', '[fd00::1]', '[::ffff:10.0.0.1]', '[64:ff9b::10.0.0.1]', '0x0a000001'];

function at(type: keyof typeof places, host: string): Record<string, unknown> {
  return places[type]?.at(host) ?? {};
}

function refusedAt(type: keyof typeof places): readonly string[] {
  return [places[type]?.field ?? ''];
}

/** Where sinks may point to, and how that may be written. */
export const sinkEndpointVectors: readonly Vector[] = [
  ...neverAllowed.map((host) => sinkVector('git', `the host ${host}`, at('git', host), { errors: refusedAt('git') })),
  ...types.filter((type) => type !== 'git').flatMap((type) => everyType.map((host) => sinkVector(type, `the host ${host}`, at(type, host), { errors: refusedAt(type) }))),
  ...types.flatMap((type) => ['8.8.8.8', '93.184.216.34', 'a.svc', 'my_host.example', '[2606:4700::1111]', 'bücher.example'].map((host) => sinkVector(type, `the host ${host}`, at(type, host)))),
  ...types.flatMap((type) => privateHosts.slice(0, type === 'git' ? undefined : 2).flatMap((host) => [
    sinkVector(type, `the private host ${host}`, at(type, host)),
    sinkVector(type, `the private host ${host} where they are not allowed`, at(type, host), { installation: { allowPrivateSinks: false }, errors: refusedAt(type), says: ['--allow-private-sinks=false'] }),
  ])),
  sinkVector('git', 'a loopback address, however strict', at('git', '127.0.0.1'), { installation: { allowPrivateSinks: false }, errors: ['spec.endpoint'], says: ['127.0.0.1 is a loopback address'] }),
  sinkVector('git', 'an in-cluster name where private addresses are not allowed', at('git', 'gitea.gitea.svc'), { installation: { allowPrivateSinks: false } }),

  // Git.
  ...each('git', 'the endpoint', ['git@github.com:o/r.git', 'github.com:o/r.git', 'ssh://git@github.com/o/r.git', 'ssh://git@github.com:2222/o/r.git', 'https://github.com/o/r', 'http://git.example.com/r.git', 'https://git.example.com:8443/a@b/r.git', 'git@[2606:4700::1111]:o/r.git', 'git@[git.example.com:2222]:o/r.git', 'https://dev.azure.com/org/project/_git/r', 'HTTPS://git.example.com/r.git'], (endpoint) => ({ endpoint })),
  ...each('git', 'the endpoint', ['file:///srv/r.git', 'FILE:///srv/r.git', 'file:/srv/r.git', '/srv/git/r.git', './r.git', '../r.git', '~/r.git', '~git/r.git', ' /srv/r.git', '.'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'], says: ['path on the machine of Kollect'] }),
  ...each('git', 'the endpoint', ['r.git', 'srv/git/r.git', 'ext::sh -c touch', 'ext::sh', 'fd::7', String.raw`C:\git\r.git`, 'C:/git/r.git', 'https:git.example.com/r.git', 'https:127.0.0.1/r.git', 'file:r.git', 'git://github.com/o/r.git', 'ftp://example.com/r.git', 'git+ssh://git@github.com/o/r.git', 'https://', 'https:///r.git', 'https://git.example.com', 'https://git.example.com/', 'https:/git.example.com/r.git', 'https://git.example.com:0/r.git', 'https://git.example.com:99999/r.git', 'https://git.example.com:/r.git', 'https://[::1/r.git', 'https://git example.com/r.git', ' https://git.example.com/r.git', 'https://git.example.com/r.git\n', 'https://exa\tmple.com/r.git', 'https://exam\u00adple.com/r.git', String.raw`https://git.example.com\@127.0.0.1/r.git`, 'https://a@b@127.0.0.1/r.git', 'https://git.example.com/r.git#main', 'git@host:', 'git@:path', '@host:path', 'git@host:-x', '-x@host:path', 'ssh://-x@host/path', 'ssh://host/-x'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'] }).map((vector) => (/a@b@|@127/.test(vector.name) ? { ...vector, warnings: ['spec.endpoint'] } : vector)),
  ...each('git', 'the endpoint', ['git@[::1]:o/r.git', '[::1]:o/r.git', 'git@[localhost:22]:o/r.git', 'git@[127.0.0.1:22]:o/r.git', 'git@localhost:o/r.git', 'localhost:o/r.git', '127.1:o/r.git', 'git@metadata.google.internal.:r.git', 'git@[fe80::1%eth0]:r.git', 'ssh://git@2130706433/r.git', 'ssh://git@[::ffff:127.0.0.1]/r.git', 'ssh://%6cocalhost/r.git', 'ssh://①②⑦.0.0.1/r.git', '-oProxyCommand=touch:x', 'ssh://-oProxyCommand=touch/r.git', 'git@0x7f.1:r.git'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'], says: ['Forbidden'] }),
  sinkVector('git', 'no endpoint', { endpoint: undefined }, { errors: ['spec.endpoint'], says: ['Required value', 'https://git.example.com/team/inventory.git'] }),
  sinkVector('git', 'a blank endpoint', { endpoint: '  ' }, { errors: ['spec.endpoint'], says: ['Required value'] }),

  // GitLab.
  ...each('gitlab', 'the endpoint', ['https://gitlab.com/group/project', 'https://gitlab.com/group/sub/project.git', 'http://gitlab.gitlab.svc/g/p'], (endpoint) => ({ endpoint })),
  ...each('gitlab', 'the endpoint', ['https://gitlab.com', 'https://gitlab.com/', 'https://gitlab.com/project.git', 'git@gitlab.com:g/p.git', 'ssh://git@gitlab.com/g/p.git', 'gitlab.com/g/p', 'https://gitlab.com/group/project/-/tree/main'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'], says: ['https://<host>/<group>/<project>'] }),
  sinkVector('gitlab', 'a local path', { endpoint: '/srv/g/p.git' }, { errors: ['spec.endpoint'], says: ['path on the machine'] }),
  sinkVector('gitlab', 'no endpoint', { endpoint: undefined }, { errors: ['spec.endpoint'], says: ['Required value'] }),

  // Object stores.
  ...each('s3', 'the endpoint', ['s3://b/p', 's3://bucket', 's3://bucket/', 'S3://bucket/a/b/c', 'mybucket/prefix', 'mybucket', 'http://minio.example.com/b', 'https://minio.minio.svc:9000/bucket/a/b/', 'my.bucket/p'], (endpoint) => ({ endpoint })),
  ...each('s3', 'the endpoint', ['s3://', 's3:///p', 'https://minio.example.com', 'https://minio.example.com/', 'https://minio.example.com:9000', 'minio.example.com:9000/b', '127.0.0.1/b', '10.0.0.5/b', 'b//p', 'b/../c', 's3://b/./c', 's3://b/p?x=y', 's3://b/p#x', 's3://b:80/p', 'gs://b/p', 'ftp://b/p', 'b c/p', String.raw`b\p`, '@b/p', 's3://-b/p'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'], says: ['Invalid value'] }),
  ...each('gcs', 'the endpoint', ['gs://b/k', 'bucket/prefix', 'https://storage.googleapis.com/bucket/prefix'], (endpoint) => ({ endpoint })),
  ...each('gcs', 'the endpoint', ['s3://b/k', 'https://storage.googleapis.com/', 'gs://'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'], says: ['gs://<bucket>/<prefix>'] }),
  ...each('azureblob', 'the endpoint', ['https://account.blob.core.windows.net/container', 'container/prefix', 'azblob://container/prefix'], (endpoint) => ({ endpoint })),
  ...each('azureblob', 'the endpoint', ['https://account.blob.core.windows.net', 'https://account.blob.core.windows.net/c?restype=container'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'], says: ['blob.core.windows.net/<container>'] }),
  ...(['s3', 'gcs', 'azureblob', 'http'] as const).flatMap((type) => [
    sinkVector(type, 'no endpoint', { endpoint: undefined }, { errors: ['spec.endpoint'], says: ['Required value'] }),
    sinkVector(type, 'a file', { endpoint: 'File:///srv/x' }, { errors: ['spec.endpoint'], says: ['path on the machine'] }),
  ]),

  // http.
  sinkVector('http', 'the endpoint of a chat, of which the path is the credential', { endpoint: 'https://hooks.slack.com/services/T000/B000/canary' }, { warnings: ['spec.endpoint'], says: ['spec.http.auth.secretRef'] }),
  ...each('http', 'the endpoint', ['https://hooks.example.com', 'http://collector.default.svc:8080/inventory?a=b&c=d'], (endpoint) => ({ endpoint })),
  ...each('http', 'the endpoint', ['hooks.example.com/x', 'hooks.example.com:8443'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'], says: ['https://hooks.example.com/inventory'] }),
  ...each('http', 'the endpoint', ['ftp://hooks.example.com/x', 'ws://hooks.example.com', 'https://', 'https://a b/x'], (endpoint) => ({ endpoint }), { errors: ['spec.endpoint'] }),

  // NATS.
  ...each('nats', 'the servers', ['nats://a.example', 'tls://a.example:4443', 'a.example:4222', 'nats://a.example:4222/', '[2606:4700::1111]:4222', 'a.example , b.example'], (url) => settings('nats', { url })),
  ...each('nats', 'the servers', ['localhost:4222', 'localhost', '127.0.0.1', '[::1]:4222', 'nats://a.example:4222,nats://127.0.0.1:4222', 'a.example,localhost', 'nats://a.example , tls://2130706433', '%6cocalhost:4222'], (url) => settings('nats', { url }), { errors: ['spec.nats.url'], says: ['Forbidden'] }),
  ...each('nats', 'the servers', ['http://a.example', 'ws://a.example', 'nats://a.example,', ',nats://a.example', 'nats://a.example,,nats://b.example', 'nats://a.example:x', 'nats://a.example:4222/x', 'nats://a.example?x=y', 'nats://', 'nats://a.example nats://b.example', '::1', 'fd00::1:4222'], (url) => settings('nats', { url }), { errors: ['spec.nats.url'], says: ['Invalid value'] }),
  sinkVector('nats', 'a socket', settings('nats', { url: '/var/run/nats.sock' }), { errors: ['spec.nats.url'] }),
  sinkVector('nats', 'a metadata service in the endpoint', { ...settings('nats', { url: undefined }), endpoint: 'nats://metadata.google.internal:4222' }, { errors: ['spec.endpoint'], says: ['Forbidden', 'metadata service'] }),
  sinkVector('nats', 'two hosts in the endpoint, one of them loopback', { ...settings('nats', { url: undefined }), endpoint: 'a.example,localhost:4222' }, { errors: ['spec.endpoint'] }),

  // Kafka.
  ...each('kafka', 'the broker', ['kafka.kollect-system.svc:9092', 'kafka.example.com', 'kafka://a.example:9092', 'PLAINTEXT://a.example:9092', 'SASL_SSL://a.example:9093', '[2606:4700::1111]:9092', '[2606:4700::1111]'], (broker) => settings('kafka', { brokers: [broker] })),
  ...each('kafka', 'the broker', ['localhost:9092', '[::1]:9092', '[::1]', 'kafka://127.0.0.1:9092', 'ssl://2130706433', '%6cocalhost:9092'], (broker) => settings('kafka', { brokers: [broker] }), { errors: ['spec.kafka.brokers[0]'], says: ['Forbidden'] }),
  ...each('kafka', 'the broker', ['::1', '::1:9092', 'fd00::1:9092', 'a.example:9092,localhost:9092', 'a.example:99999', 'a.example:', 'a.example:9092/x', 'http://a.example:9092', ':9092', 'a.example:9092:9093', 'a b:9092', 'a.example\n'], (broker) => settings('kafka', { brokers: [broker] }), { errors: ['spec.kafka.brokers[0]'], says: ['Invalid value'] }),

  // Credentials.
  ...([
    ['git', 'https://u:canary@git.example.com/r.git'], ['git', 'ssh://git:canary@git.example.com/r.git'], ['git', 'git:canary@git.example.com:r.git'], ['git', 'https://:canary@git.example.com/r.git'], ['git', 'https://git.example.com/r.git?private_token=canary'],
    ['gitlab', 'https://oauth2:canary@gitlab.example.com/g/p.git'], ['s3', 's3://key:canary@bucket/prefix'], ['s3', 'https://key:canary@minio.example.com/bucket'], ['http', 'https://u:canary@hooks.example.com/x'], ['http', 'https://hooks.example.com/x?access_token=canary'], ['http', 'https://hooks.example.com/x?a=b&apiKey=canary'],
  ] as const).map(([type, endpoint], index) => sinkVector(type, `a credential in the endpoint, ${index}`, { endpoint }, { errors: ['spec.endpoint'], says: ['put it into a Secret'] })),
  ...([['git', 'https://u:x@canary@git.example.com/r.git'], ['git', 'https://u:canary/@git.example.com/r.git'], ['gcs', 'https://storage.googleapis.com/b?X-Goog-Credential=canary'], ['azureblob', 'https://account.blob.core.windows.net/c?sv=1&sig=canary'], ['azureblob', 'https://account.blob.core.windows.net/c?sv=1&s%69g=canary']] as const).map(([type, endpoint], index) => sinkVector(type, `a credential in an endpoint of a bad form, ${index}`, { endpoint }, { errors: ['spec.endpoint', 'spec.endpoint'], says: ['put it into a Secret', 'Invalid value: "***"'] })),
  sinkVector('git', 'a credential beside a bad branch', { endpoint: 'https://git.example.com/r.git?sig=canary#branch=a..b' }, { errors: ['spec.endpoint', 'spec.endpoint'] }),
  sinkVector('git', 'a user in a URL of https', { endpoint: 'https://jane@git.example.com/r.git' }, { warnings: ['spec.endpoint'], says: ['is not used'] }),
  sinkVector('git', 'a token for a user', { endpoint: 'https://ghp_canarycanarycanary@git.example.com/r.git' }, { errors: ['spec.endpoint'], says: ['holds a token'] }),
  ...['nats://u:canary@a.example:4222', 'nats://canary@a.example:4222', 'u:canary@a.example:4222', 'nats://a.example:4222,nats://u:canary@b.example:4222'].map((url, index) => sinkVector('nats', `a credential in the servers, ${index}`, settings('nats', { url }), { errors: ['spec.nats.url'], says: ['put it into a Secret'] })),
  ...['nats://u:canary@a.example:4222', 'nats://canary@a.example:4222', 'a.example,canary@b.example'].map((endpoint, index) => sinkVector('nats', `a credential in the servers of the endpoint, ${index}`, { ...settings('nats', { url: undefined }), endpoint }, { errors: ['spec.endpoint'], says: ['put it into a Secret'] })),
  ...['u:canary@a.example:9092', 'kafka://u:canary@a.example:9092', 'canary@a.example:9092'].map((broker, index) => sinkVector('kafka', `a credential in a broker, ${index}`, settings('kafka', { brokers: ['b.example:9092', broker] }), { errors: ['spec.kafka.brokers[1]'], says: ['put it into a Secret'] })),
];
