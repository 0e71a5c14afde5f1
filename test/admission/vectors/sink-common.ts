import { authority, each, errors, sinkVector, warnings } from './sink-objects.ts';
import type { Vector } from './vector.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

const localGit = { type: 'git', endpoint: '/srv/git/r.git', serialization: { format: 'yaml' } };

/** What sinks of all families share. */
export const sinkCommonVectors: readonly Vector[] = [
  ...(['git', 'gitlab', 's3', 'gcs', 'azureblob', 'http', 'postgres', 'bigquery', 'mongodb', 'kafka', 'nats'] as const).map((type) => sinkVector(type, 'the least that it needs', {}, { stored: { type, connectionTest: true } })),
  sinkVector('postgres', 'without a connection test', { connectionTest: false }, { stored: { connectionTest: false } }),

  // Types and blocks.
  { name: 'a snapshot sink of a type that does not exist', kind: 'KollectSnapshotSink', object: { spec: { type: 'minio' } }, errors: ['spec.type'], says: ['Unsupported value: "minio"', '"azureblob"'] },
  { name: 'a snapshot sink with an empty type', kind: 'KollectSnapshotSink', object: { spec: { type: '' } }, errors: ['spec.type'], says: ['Required value'] },
  { name: 'a database sink of a type with a slip', kind: 'KollectDatabaseSink', object: { spec: { type: 'postgress' } }, errors: ['spec.type'], says: ['did you mean "postgres"?'] },
  { name: 'an event sink of a type in capitals', kind: 'KollectEventSink', object: { spec: { type: 'Kafka' } }, errors: ['spec.type'], says: ['did you mean "kafka"?'] },
  { name: 'an event sink of the type of a database', kind: 'KollectEventSink', object: { spec: { type: 'mongodb' } }, errors: ['spec.type'], says: ['supported values: "kafka", "nats"'] },
  { name: 'a sink without a type and with other mistakes', kind: 'KollectEventSink', object: { spec: { exportMinInterval: '-1s', options: { password: 'canary' } } }, errors: ['spec.exportMinInterval', 'spec.options[password]', 'spec.type'] },
  ...(['http', 'postgres', 'bigquery', 'mongodb', 'kafka', 'nats'] as const).map((type) => sinkVector(type, 'without its block', { [type]: undefined }, { errors: [`spec.${type}`], says: ['needs this block'] })),
  sinkVector('git', 'with the block of gitlab', { gitlab: {} }, { errors: ['spec.gitlab'], says: ['Forbidden', 'set the type to gitlab'] }),
  sinkVector('git', 'with the blocks of stores and http', { objectStore: {}, http: { method: 'POST' } }, errors('spec.http', 'spec.objectStore')),
  sinkVector('gitlab', 'with the block of git', { git: { branch: 'main' } }, errors('spec.git')),
  sinkVector('gitlab', 'with the blocks of stores and http', { objectStore: {}, http: {} }, errors('spec.http', 'spec.objectStore')),
  ...(['s3', 'gcs', 'azureblob'] as const).map((type) => sinkVector(type, 'with the blocks of others', { objectStore: {}, git: {}, gitlab: {}, http: {} }, errors('spec.git', 'spec.gitlab', 'spec.http'))),
  sinkVector('http', 'with the blocks of others', { git: {}, gitlab: {}, objectStore: {} }, errors('spec.git', 'spec.gitlab', 'spec.objectStore')),
  sinkVector('postgres', 'with the block of bigquery', { bigquery: { project: 'p', dataset: 'd', table: 't' } }, errors('spec.bigquery')),
  sinkVector('mongodb', 'with the block of postgres', { postgres: { databaseRef: { name: 'd' }, table: 't' } }, errors('spec.postgres')),
  sinkVector('kafka', 'with the block of nats', { nats: { subject: 's' } }, errors('spec.nats')),
  { name: 'nats: with the block of kafka in place of its own', kind: 'KollectEventSink', object: { spec: { type: 'nats', kafka: { brokers: ['k.example:9092'], topic: 't' } } }, errors: ['spec.kafka', 'spec.nats'] },

  // Paths of documents.
  ...each('git', 'the path', ['{namespace}/{name}.yaml', 'clusters/{cluster}/inventory/{namespace}/{name}{extension}', ' {namespace}/{name}-{generation}{extension} ', ''], (pathTemplate) => ({ pathTemplate })),
  ...each('git', 'the path', ['/abs/{namespace}/{name}', '../{namespace}/{name}', '{namespace}/../{name}', '{namespace}//{name}', './{namespace}/{name}', '{namespace}/{name}/', String.raw`{namespace}\{name}`, '{namespace}/{name}\n.yaml', '.git/{namespace}/{name}', '{namespace}/.GIT/{name}'], (pathTemplate) => ({ pathTemplate }), errors('spec.pathTemplate')),
  sinkVector('s3', 'a path without a namespace', { pathTemplate: '{cluster}/{name}.json' }, { errors: ['spec.pathTemplate'], says: ['must contain {namespace}'] }),
  sinkVector('s3', 'a path without a name', { pathTemplate: '{namespace}.json' }, { errors: ['spec.pathTemplate'], says: ['must contain {name}'] }),
  sinkVector('postgres', 'a path with a placeholder that does not exist', { pathTemplate: '{namespace}/{unsupported}/{name}' }, { errors: ['spec.pathTemplate'], warnings: ['spec.pathTemplate'], says: ['unknown placeholder {unsupported}; known are {cluster}'] }),
  sinkVector('git', 'a path with a placeholder of rows', { pathTemplate: '{sourceName}/{namespace}/{name}' }, { errors: ['spec.pathTemplate'], says: ['{sourceName}'] }),
  sinkVector('git', 'a path with a placeholder in capitals', { pathTemplate: '{Cluster}/{namespace}/{name}' }, { errors: ['spec.pathTemplate'], says: ['did you mean {cluster}?'] }),
  sinkVector('git', 'a path with an empty placeholder', { pathTemplate: '{}/{namespace}/{name}' }, errors('spec.pathTemplate')),
  sinkVector('git', 'a path with braces too many', { pathTemplate: '{{namespace}}/{name}' }, { errors: ['spec.pathTemplate'], says: ['brace'] }),
  sinkVector('git', 'a path with everything wrong', { pathTemplate: '/{x}' }, errors('spec.pathTemplate', 'spec.pathTemplate', 'spec.pathTemplate')),
  sinkVector('postgres', 'a path, which rows do not have', { pathTemplate: '{namespace}/{name}.json' }, { warnings: ['spec.pathTemplate'], says: ['has no effect'] }),
  sinkVector('kafka', 'a path, which events do not have', { pathTemplate: '{namespace}/{name}.json' }, { warnings: ['spec.pathTemplate'], says: ['has no effect'] }),
  sinkVector('mongodb', 'names of what is created', { provisioning: { naming: { template: '{namespace}_{name}' } } }),
  sinkVector('mongodb', 'names of what is created, from a root', { provisioning: { naming: { template: '/{namespace}/{name}' } } }, errors('spec.provisioning.naming.template')),
  sinkVector('nats', 'names of what is created, with an unknown placeholder', { provisioning: { naming: { template: '{cluster}/{unsupported}/{name}' } } }, { errors: ['spec.provisioning.naming.template', 'spec.provisioning.naming.template'], says: ['{unsupported}', '{namespace}'] }),

  // Intervals.
  ...each('postgres', 'the cluster', ['prod-eu-1', 'Prod EU', 'a.b', ''], (cluster) => ({ cluster })),
  ...each('postgres', 'the cluster', ['..', '../..', '.git', 'a/b', 'a\\b', 'a\nb', ' a'], (cluster) => ({ cluster }), errors('spec.cluster')),
  ...each('postgres', 'the interval', ['0s', '0', '500ms', '24h', '1h30m', '+5m', '1.5h'], (exportMinInterval) => ({ exportMinInterval })),
  ...each('git', 'the interval', ['-1s', '24h0m1s', '1d', '30', '1 h', '', '99999999999h'], (exportMinInterval) => ({ exportMinInterval }), errors('spec.exportMinInterval')),

  // Formats.
  sinkVector('git', 'json', { serialization: { format: 'json' } }),
  sinkVector('gitlab', 'ndjson', { serialization: { format: 'ndjson', compression: 'gzip' } }),
  sinkVector('s3', 'csv', { serialization: { format: 'csv' } }),
  sinkVector('http', 'ndjson', { serialization: { format: 'ndjson' } }),
  sinkVector('git', 'parquet', { serialization: { format: 'parquet' } }, { errors: ['spec.serialization.format'], says: ['supported values: "yaml", "json", "ndjson"'] }),
  sinkVector('s3', 'yaml', { serialization: { format: 'yaml' } }, errors('spec.serialization.format')),
  sinkVector('azureblob', 'ndjson', { serialization: { format: 'ndjson' } }, errors('spec.serialization.format')),
  sinkVector('http', 'csv', { serialization: { format: 'csv' } }, errors('spec.serialization.format')),
  sinkVector('postgres', 'ndjson', { serialization: { format: 'ndjson' } }, { errors: ['spec.serialization.format'], says: ['supported values: "json"'] }),
  sinkVector('kafka', 'parquet', { serialization: { format: 'parquet' } }, errors('spec.serialization.format')),
  sinkVector('nats', 'a format that does not exist', { serialization: { format: 'avro' } }, errors('spec.serialization.format')),
  sinkVector('git', 'a format in capitals', { serialization: { format: 'JSON' } }, { errors: ['spec.serialization.format'], says: ['did you mean "json"?'] }),
  sinkVector('git', 'zstd', { serialization: { format: 'json', compression: 'zstd' } }),
  sinkVector('s3', 'snappy in csv', { serialization: { format: 'csv', compression: 'snappy' } }, { errors: ['spec.serialization.compression'], says: ['is for parquet, and the format is csv'] }),
  sinkVector('git', 'snappy', { serialization: { format: 'json', compression: 'snappy' } }, { errors: ['spec.serialization.compression'], says: ['supported values: "none", "gzip", "zstd"'] }),
  sinkVector('postgres', 'gzip', { serialization: { compression: 'gzip' } }, { errors: ['spec.serialization.compression'], says: ['supported values: "none"'] }),
  sinkVector('nats', 'no compression, in so many words', { serialization: { compression: 'none' } }),
  sinkVector('s3', 'a compression that does not exist', { serialization: { format: 'json', compression: 'lz4' } }, errors('spec.serialization.compression')),

  // Provisioning and layout.
  sinkVector('postgres', 'ensure', { provisioning: { mode: 'ensure' } }),
  sinkVector('postgres', 'a table that is there already', { provisioning: { mode: 'existing' } }, warnings('spec.provisioning.mode')),
  sinkVector('nats', 'a stream that is there already', { provisioning: { mode: 'existing' } }, warnings('spec.provisioning.mode')),
  sinkVector('mongodb', 'a provisioning that does not exist', { provisioning: { mode: 'auto' } }, errors('spec.provisioning.mode')),
  sinkVector('s3', 'a layout', { layout: { mode: 'document' }, objectStore: {} }, { errors: ['spec.layout'], says: ['only sinks of the types git and gitlab'] }),
  sinkVector('bigquery', 'an empty layout', { layout: {} }, errors('spec.layout')),
  sinkVector('nats', 'a layout', { layout: {} }, errors('spec.layout')),

  // Options.
  sinkVector('postgres', 'options that it reads', { options: { statement_timeout: '30000', lock_timeout: '0', application_name: 'kollect' } }),
  sinkVector('s3', 'options that it reads', { options: { storageClass: 'INTELLIGENT_TIERING', region: 'eu-central-1' } }),
  sinkVector('postgres', 'an option with a slip', { options: { statement_timout: '30000' } }, { warnings: ['spec.options[statement_timout]'], says: ['did you mean statement_timeout?'] }),
  sinkVector('git', 'an option where none is read', { options: { depth: '1' } }, warnings('spec.options[depth]')),
  sinkVector('kafka', 'an option of another type', { options: { region: 'eu' } }, { warnings: ['spec.options[region]'], says: ['known are acks, cleanupPolicy, compression, partitions, replicas'] }),
  ...each('postgres', 'an option that only begins like a secret,', ['authMechanism', 'passive', 'sasMode', 'bypass', 'passThrough', 'compass', 'basics', 'path', 'pattern', 'patch', 'sessionTimeout', 'session_timeout', 'cookiePath', 'signingKeyId', 'encryptionKeyName', 'partitionKey', 'obsessions'], (key) => ({ options: { [key]: 'x' } })).map((vector) => ({ ...vector, warnings: [`spec.options[${Object.keys((vector.object.spec as { options: object }).options)[0]}]`] })),
  ...['password', 'PASSWD', 'secret', 'clientSecret', 'token', 'sasl.token', 'apikey', 'api_key', 'API-Key', 'Access_Key', 'access.key.id', 'secretKey', 'private-key', 'private_key', 'credentials', 'credential', 'pwd', 'pass', 'db.pass', 'dbPass', 'passphrase', 'bearer', 'dsn', 'dsn_primary', 'primaryDSN', 'connectionstring', 'connection-string', 'sas', 'sas-url', 'auth', 'auth_header', 'basicAuth', 'Authorization', ' password ', 'ｐａｓｓｗｏｒｄ', 'p.a.s.s.w.o.r.d', 'signingKey', 'cookie', 'auth.cookie', 'session', 'userSession', 'sessionId', 'jwt', 'userJWT', 'pat', 'github-pat', 'sharedAccessSignature', 'ssh_key', 'sshKey', 'encryptionKey', 'encryption-keys'].map((key) => sinkVector('gcs', `a credential under ${JSON.stringify(key)}`, { options: { [key]: 'canary' } }, { errors: [`spec.options[${key}]`], says: ['Forbidden', 'put credentials into a Secret'] })),
  sinkVector('nats', 'credentials in a key and its value, neither of which is shown', { options: { ghp_canary0123456789: 'password=canary' } }, { errors: ['spec.options[***]'], says: ['the value holds a credential'] }),
  sinkVector('http', 'several credentials in the order of their keys', { options: { token: 'canary', password: 'canary', apikey: 'canary' } }, errors('spec.options[apikey]', 'spec.options[password]', 'spec.options[token]')),
  ...['http://user:canary@proxy', 'a b postgres://u:canary@h/d c', 'https://:canary@h', '-----BEGIN RSA PRIVATE KEY-----canary', 'host=db password=canary', 'AccountName=a;AccountKey=canary', 'user:canary@tcp(db:3306)/inventory', 'user:canary@db.example.com:5432', '{"password": "canary"}', 'ghp_canary0123456789', 'AKIACANARY0123456789 canary', 'Authorization: Bearer canary0123456789', 'xoxb-1234-canary', 'glpat-canary0123456789', 'eyJhbGciOiJIUzI1NiJ9.canary.canary', 'x -----BEGIN OPENSSH PRIVATE KEY-----canary', 'Bearer abcdefghicanaryklmno', 'basic dXNlcjpjYW5hcnkx', 'https://hooks.slack.com/services/T000/B000/canary'].map((value, index) => sinkVector('nats', `a credential in a value, ${index}`, { options: { maxAge: value } }, { errors: ['spec.options[maxAge]'], says: ['the value holds a credential'] })),
  ...['basic authentication', 'nginx:1.27@sha256:0a1b', 'mailto:jane@example.com', 'kafka.example.com:9092/a@b', 'session:sticky', 'token-bucket', 'eyJ'].map((value) => sinkVector('postgres', `no credential in the value ${value}`, { options: { application_name: value } })),
  sinkVector('postgres', 'a URL without a credential in a value', { options: { application_name: 'https://kafka.example.com:9092/a@b' } }),

  sinkVector('postgres', 'more options than any type reads', { options: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`o${index}`, 'x'])) }, { errors: ['spec.options'], says: ['Too many: 65: must have at most 64 items'] }),

  // Trust.
  sinkVector('git', 'an authority', { tls: { caBundle: authority } }),
  sinkVector('nats', 'an authority in a Secret, a certificate to log in with', { tls: { caSecretRef: { name: 'ca', namespace: 'kollect-system' }, clientCertificateSecretRef: { name: 'client' } } }),
  sinkVector('git', 'an empty bundle', { tls: { caBundle: '' } }, { errors: ['spec.tls.caBundle'], says: ['Required value'] }),
  sinkVector('postgres', 'two sources of trust', { tls: { caBundle: authority, caSecretRef: { name: 'c' } } }, { errors: ['spec.tls'], says: ['keep one of the two'] }),
  sinkVector('s3', 'a bundle that is no certificate', { tls: { caBundle: base64('hello') } }, { errors: ['spec.tls.caBundle'], says: ['base64 -w0 ca.crt'] }),
  sinkVector('s3', 'a bundle of a certificate that cannot be read', { tls: { caBundle: base64('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n') } }, { errors: ['spec.tls.caBundle'], says: ['certificate 1 of 1 cannot be read'] }),
  sinkVector('s3', 'a bundle of which the second certificate cannot be read', { tls: { caBundle: base64(`${Buffer.from(authority, 'base64').toString()}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`) } }, { errors: ['spec.tls.caBundle'], says: ['certificate 2 of 2'] }),
  sinkVector('s3', 'a bundle that is PEM without base64', { tls: { caBundle: Buffer.from(authority, 'base64').toString() } }, errors('spec.tls.caBundle')),
  sinkVector('mongodb', 'a bundle of a private key', { tls: { caBundle: base64('-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n') } }, { errors: ['spec.tls.caBundle'], says: ['private key'] }),
  sinkVector('kafka', 'a bundle of more than 64 KiB', { tls: { caBundle: authority.replace(/=*$/, '').repeat(130) } }, { errors: ['spec.tls.caBundle'], says: ['64 KiB'] }),
  sinkVector('git', 'an authority in a Secret without a name', { tls: { caSecretRef: { name: '' } } }, { errors: ['spec.tls.caSecretRef.name'], says: ['Required value'] }),
  sinkVector('git', 'an authority in a Secret with a blank name', { tls: { caSecretRef: { name: ' ' } } }, { errors: ['spec.tls.caSecretRef.name'], says: ['Required value'] }),
  sinkVector('git', 'a certificate to log in with, of a bad namespace', { tls: { clientCertificateSecretRef: { name: 'client', namespace: 'Team_A' } } }, errors('spec.tls.clientCertificateSecretRef.namespace')),
  ...(['git', 'azureblob', 'postgres', 'nats'] as const).map((type) => sinkVector(type, 'without verification', { tls: { insecureSkipVerify: true } }, warnings('spec.tls.insecureSkipVerify'))),

  // Secrets and annotations.
  sinkVector('git', 'a Secret of another namespace', { secretRef: { name: 'git', namespace: 'kollect-system' } }),
  sinkVector('git', 'a Secret with its namespace in the name', { secretRef: { name: 'kollect-system/git' } }, { errors: ['spec.secretRef.name'], says: ['the field "namespace"'] }),
  sinkVector('s3', 'a Secret with a name that no object can have', { secretRef: { name: 'My_Secret' } }, errors('spec.secretRef.name')),
  { ...sinkVector('postgres', 'annotations that it knows', {}), object: { metadata: { annotations: { 'kollect.dev/test-connection': 'true', 'kollect.dev/preview': 'true', 'example.com/x': 'y' } }, spec: sinkVector('postgres', '', {}).object.spec } },
  { ...sinkVector('postgres', 'an annotation with a slip', {}), object: { metadata: { annotations: { 'kollect.dev/test-conection': 'true' } }, spec: sinkVector('postgres', '', {}).object.spec }, warnings: ['metadata.annotations[kollect.dev/test-conection]'], says: ['did you mean kollect.dev/test-connection?'] },

  // Updates.
  { name: 'git: an update that leaves a bad endpoint as it is', kind: 'KollectSnapshotSink', old: { spec: localGit }, object: { metadata: { labels: { a: 'b' } }, spec: localGit }, warnings: ['spec.endpoint'], says: ['path on the machine'] },
  { name: 'git: an update that leaves a bad endpoint and edits the rest', kind: 'KollectSnapshotSink', old: { spec: localGit }, object: { spec: { ...localGit, cluster: 'a' } }, errors: ['spec.endpoint'] },
  { name: 'git: an update that brings a bad endpoint', kind: 'KollectSnapshotSink', old: { spec: { ...localGit, endpoint: 'https://git.example.com/r.git' } }, object: { spec: localGit }, errors: ['spec.endpoint'] },
  { name: 'nats: an update that brings the metadata of a cloud', kind: 'KollectEventSink', old: { spec: { type: 'nats', nats: { url: 'nats://a.example', subject: 's' } } }, object: { spec: { type: 'nats', nats: { url: 'nats://a.example,nats://metadata.goog:4222', subject: 's' } } }, errors: ['spec.nats.url'] },
  { name: 'git: a bad endpoint that is being deleted', kind: 'KollectSnapshotSink', old: { spec: { ...localGit, endpoint: 'https://git.example.com/r.git' } }, object: { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['example.com/x'] }, spec: localGit } },
];
