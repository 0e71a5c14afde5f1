import type { KollectSnapshotSinkSpec } from '../../api/kollect-snapshot-sink.ts';
import { sinkTypeFacts } from '../../api/sink-types.ts';
import { parseGitEndpoint, parseGitLabEndpoint } from '../../api/sinks/git-endpoint.ts';
import { parseHttpEndpoint } from '../../api/sinks/http-endpoint.ts';
import { parseObjectStoreEndpoint } from '../../api/sinks/object-store-endpoint.ts';
import { holdsToken, secretAddress } from '../credentials.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { allowedHosts, holdsPassword, notLocal, readable } from './endpoint.ts';
import type { ReadEndpoint } from './endpoint.ts';
import { gitRules } from './git.ts';
import { layoutRules } from './layout.ts';
import { secretReference } from './names.ts';
import { objectStoreRules } from './object-store.ts';
import { effectless, sinkRules } from './sink.ts';
import { isSet } from '../../values.ts';

type Input = RuleInput<KollectSnapshotSinkSpec>;
type Type = KollectSnapshotSinkSpec['type'];

export const snapshotSinkRules: readonly Rule<KollectSnapshotSinkSpec>[] = [
  ...sinkRules,
  { id: 'endpoint-is-there', field: 'spec.endpoint', asks: 'Must say where to write.', check: endpointIsThere },
  { id: 'endpoint-form', field: 'spec.endpoint', asks: 'Must be an address in a form that the type knows.', check: overEndpoint(({ endpoint, read }, report) => readable('spec.endpoint', endpoint, read, report)) },
  { id: 'endpoint-is-remote', field: 'spec.endpoint', asks: 'Must not be a file or folder.', check: overEndpoint(({ endpoint }, report) => notLocal('spec.endpoint', endpoint, report)) },
  { id: 'endpoint-host', field: 'spec.endpoint', asks: 'Must not point to loopback, link-local or metadata addresses, nor to private ones where the installation refuses them.', check: overEndpoint(({ endpoint, read, addresses }, report) => allowedHosts('spec.endpoint', endpoint, read, addresses, report)) },
  { id: 'endpoint-user', field: 'spec.endpoint', asks: 'A user before the "@" has no effect on http and https.', advises: true, check: endpointUser },
  { id: 'endpoint-path', field: 'spec.endpoint', asks: 'Should not be an address of which the path is the credential, such as those of chats.', advises: true, check: endpointPath },
  { id: 'default-format', field: 'spec.serialization.format', asks: 'Is yaml for git and gitlab when unset.', advises: true, check: defaultFormat },
  { id: 'parquet', field: 'spec.serialization.format', asks: 'parquet has typed columns and attributes as JSON.', advises: true, check: parquet },
  { id: 'path-extension', field: 'spec.pathTemplate', asks: 'Should end in {extension}, not in the extension of another format.', advises: true, check: pathExtension },
  effectless('object-store-format', 'spec.objectStore.format', 'Has no effect beside spec.serialization.format.', ({ spec }) => (isSet(spec.serialization?.format) && isSet(spec.objectStore?.format) ? `spec.serialization.format says ${spec.serialization?.format}; remove this field` : undefined)),
  ...gitRules,
  ...layoutRules,
  ...objectStoreRules,
  { id: 'http-headers-secret-ref', field: 'spec.http.headersSecretRef', asks: 'Must name a Secret.', check: ({ spec }, report) => secretReference('spec.http.headersSecretRef', spec.http?.headersSecretRef, report) },
  { id: 'http-auth-secret-ref', field: 'spec.http.auth.secretRef', asks: 'Must name a Secret.', check: ({ spec }, report) => secretReference('spec.http.auth.secretRef', spec.http?.auth?.secretRef, report) },
  { id: 'http-signature-secret-ref', field: 'spec.http.signature.secretRef', asks: 'Must name a Secret.', check: ({ spec }, report) => secretReference('spec.http.signature.secretRef', spec.http?.signature?.secretRef, report) },
  { id: 'http-signature-header', field: 'spec.http.signature.header', asks: 'Must be the name of a header that HTTP does not use itself.', check: signatureHeader },
];

const readers: Readonly<Record<Type, ReadEndpoint>> = {
  git: (text) => [parseGitEndpoint(text)],
  gitlab: (text) => [parseGitLabEndpoint(text)],
  s3: (text) => [parseObjectStoreEndpoint('s3', text)],
  gcs: (text) => [parseObjectStoreEndpoint('gcs', text)],
  azureblob: (text) => [parseObjectStoreEndpoint('azureblob', text)],
  http: (text) => [parseHttpEndpoint(text)],
};

const examples: Readonly<Record<Type, string>> = {
  git: 'https://git.example.com/team/inventory.git',
  gitlab: 'https://gitlab.com/group/project',
  s3: 's3://bucket/prefix',
  gcs: 'gs://bucket/prefix',
  azureblob: 'https://account.blob.core.windows.net/container/prefix',
  http: 'https://hooks.example.com/inventory',
};

function endpointIsThere({ spec }: Input, report: Report): void {
  if (spec.type !== undefined && !isSet(spec.endpoint)) report(required('spec.endpoint', `a sink of the type ${spec.type} needs an address, such as ${examples[spec.type]}`));
}

interface Endpoint extends Pick<Input, 'addresses'> {
  endpoint: string;
  read: ReadEndpoint;
}

/** Judges the endpoint when it and the type that reads it are there. */
function overEndpoint(check: (endpoint: Endpoint, report: Report) => void) {
  return ({ spec: { type, endpoint = '' }, addresses }: Input, report: Report) => {
    if (type !== undefined && isSet(endpoint)) check({ endpoint, read: readers[type], addresses }, report);
  };
}

/** Some servers take a token for the user. */
function endpointUser({ spec: { endpoint = '' } }: Input, report: Report): void {
  if (/^https?:\/\/[^/?#]*@/i.test(endpoint) && !holdsPassword(endpoint) && !holdsToken(endpoint)) report(warning('spec.endpoint', 'what stands before the "@" is not used, and can be read by all who can read this object; put user and token into a Secret'));
}

function endpointPath({ spec: { endpoint = '' } }: Input, report: Report): void {
  if (secretAddress.test(endpoint)) report(warning('spec.endpoint', 'the path of such an address is a credential, and can be read by all who can read this object; send to a server of your own that takes a token from spec.http.auth.secretRef'));
}

function defaultFormat({ spec }: Input, report: Report): void {
  const format = sinkTypeFacts(spec.type)?.formats[0];
  if (format === 'yaml' && !isSet(spec.serialization?.format)) report(warning('spec.serialization.format', `not set: ${spec.type} writes yaml; set json to keep to that`));
}

/** The format that counts, and the field that says so. */
function effectiveFormat({ type, serialization, objectStore }: Input['spec']): { format: string | undefined; field: string } {
  if (serialization?.format === undefined && objectStore?.format !== undefined) return { format: objectStore.format, field: 'spec.objectStore.format' };
  return { format: serialization?.format ?? sinkTypeFacts(type)?.formats[0], field: 'spec.serialization.format' };
}

function parquet({ spec }: Input, report: Report): void {
  const { format, field } = effectiveFormat(spec);
  const canWrite = sinkTypeFacts(spec.type)?.formats.includes('parquet') === true;
  if (canWrite && format === 'parquet') report(warning(field, 'parquet: columns are typed, and attributes are one column of JSON except those in spec.objectStore.hotAttributes'));
}

function pathExtension({ spec }: Input, report: Report): void {
  const { format } = effectiveFormat(spec);
  const [, extension] = /\.(json|yaml|yml|ndjson|csv)$/.exec(spec.pathTemplate?.trim() ?? '') ?? [];
  // Parquet files have paths of their own.
  if (extension === undefined || format === undefined || format === 'parquet') return;
  if (extension !== format && !(extension === 'yml' && format === 'yaml')) report(warning('spec.pathTemplate', `ends in .${extension} while the format is ${format}; write {extension} in its place`));
}

/** What HTTP or the login needs for itself. */
const takenHeaders: ReadonlySet<string> = new Set(['authorization', 'connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host', 'te', 'trailer', 'transfer-encoding', 'upgrade']);

function signatureHeader({ spec }: Input, report: Report): void {
  const header = spec.http?.signature?.header;
  if (header === undefined || header === '') return;
  const field = 'spec.http.signature.header';
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(header)) report(invalid(field, header, 'must be the name of a header: letters, digits and "-", such as X-Kollect-Signature'));
  else if (takenHeaders.has(header.toLowerCase())) report(invalid(field, header, 'is a header that has a meaning of its own; write one such as X-Kollect-Signature'));
}
