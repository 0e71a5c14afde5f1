import { gzipSync } from 'node:zlib';
import { attributesOf, canary, hidden, hiddenData, optional, type Example, type ExampleObject, type World } from './example.ts';

const encode = (value: object): string => Buffer.from(gzipSync(JSON.stringify(value)).toString('base64')).toString('base64');

const release = (name: string, version: number, status: string, more: object = {}): ExampleObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'helm.sh/release.v1',
  metadata: { name: `sh.helm.release.v1.${name}.v${version}`, labels: { owner: 'helm', name, status, version: String(version) } },
  data: {
    release: encode({
      name,
      version,
      namespace: 'secrets',
      info: { status, last_deployed: '2026-01-31T12:00:00Z', notes: 'Thank you' },
      chart: { metadata: { name, version: '7.1.0', appVersion: '3.0', keywords: ['a', 'b'] }, templates: [{ name: 't', data: canary }], values: { password: canary } },
      config: { db: { password: canary, user: 'shop' }, replicas: 2, env: [{ name: 'API_TOKEN', value: canary }] },
      manifest: `kind: Secret # ${canary}`,
      ...more,
    }),
  },
});

/** As Helm itself stored it, with no date of deployment. */
const stored =
  'SDRzSUFBQUFBQUFDLzFXTlN3N0RNQWdGNzhMYXNsUzNLeCtrZTJvN2phWEdJT1ArRk9YdWhTd2lkUWZ6SHNNS0RaY0NFUkwyQVc3ZmhERVprcGxZMGF0MHFkUWdCZ2UxVFFSeEJSazRucUtkWFBoQjM1SmhjNUJtYzJpNmxJRVpCOXI4cno5Y2NQTEJuNVVnOC9XQXdWOWdNeE8xcWQ3dHZLdS9KcFQ5ZTc0WlloUjVVOC9hLzJoNyt3SGxpLzN0d3dBQUFBPT0=';

const secret = (name: string, more: object): ExampleObject => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, ...more });

const gvk = { version: 'v1', kind: 'Secret' };
const consent = { 'kollect.dev/allow-secret-extraction': 'true' };
const wholeConsent = { 'kollect.dev/allow-full-resource-export': 'true' };
const base = (name: string, attributes: Parameters<typeof attributesOf>[0], annotations?: Record<string, string>): Example => ({ profile: { targetGVK: gvk, attributes: attributesOf(attributes) }, target: { names: [name] }, ...(annotations === undefined ? {} : { annotations }) });
const ofLogin = (path: string, value: unknown, annotations: Record<string, string> | undefined = consent): Example => ({ ...base('login', { value: path }, annotations), rows: { login: value === undefined ? {} : { value } } });
const failing = (example: Example, error: string): Example => ({ ...example, status: { failures: 1, error: `attribute "value": ${error}` } });
const latest = 'sh.helm.release.v1.web.v2';
const ofRelease = (field: string, value: unknown, annotations?: Record<string, string>): Example => ({ ...base(latest, { value: `helm:release.${field}` }, annotations), rows: { [latest]: { value } } });
const refusedWithout = (path: string, message = /may read the data of Secrets/): Example => ({ ...base('login', { value: path }), refused: { profile: message } });

export const secrets: World = {
  home: 'secrets',
  objects: [
    release('web', 1, 'superseded'),
    release('web', 2, 'deployed'),
    secret('sh.helm.release.v1.cart.v2', { type: 'helm.sh/release.v1', data: { release: stored } }),
    secret('broken', { data: { release: Buffer.from(canary).toString('base64') } }),
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login', annotations: { owner: 'ops', 'kubectl.kubernetes.io/last-applied-configuration': `{"data":{"user":"${canary}"}}` } }, stringData: { user: canary, pass: canary } },
  ],
  examples: {
    'a release as Helm stores it': {
      ...base('sh.helm.release.v1.cart.v2', { ...Object.fromEntries(['releaseName', 'chartVersion', 'appVersion', 'revision', 'status', 'config'].map((field) => [field, `helm:release.${field}`])), lastDeployed: optional('helm:release.lastDeployed') }, consent),
      rows: { 'sh.helm.release.v1.cart.v2': { releaseName: 'cart', chartVersion: '1.2.3', appVersion: '2.4', revision: 2, status: 'deployed', config: { db: { password: hidden }, replicas: 2 } } },
    },
    'fields of a release need no consent': ofRelease('chartVersion', '7.1.0'),
    'its date': ofRelease('lastDeployed', '2026-01-31T12:00:00Z'),
    'its chart': ofRelease('chart.metadata', { name: 'web', version: '7.1.0', appVersion: '3.0', keywords: ['a', 'b'] }),
    'its revision, as text': { ...base(latest, { value: { path: 'helm:release.revision', type: 'string' } as never }), rows: { [latest]: { value: '2' } } },
    'its configuration, redacted by key': ofRelease('config', { db: { password: hidden, user: 'shop' }, replicas: 2, env: [{ name: 'API_TOKEN', value: hidden }] }, consent),
    'a part of its configuration': ofRelease('config.db.user', 'shop', consent),
    'a secret of its configuration': ofRelease('config.db.password', hidden, consent),
    'its configuration without consent': { ...ofRelease('config', null), refused: { profile: /may read the data of Secrets/ } },
    'its manifest': { ...ofRelease('manifest', null, consent), refused: { profile: /manifest is not exportable/ } },
    'what holds its templates': { ...ofRelease('chart', null, consent), refused: { profile: /includes chart\.templates, which is not exportable/ } },
    'a field that no release has': { ...ofRelease('chartversion', null), refused: { profile: /did you mean \\?"helm:release\.chartVersion\\?"/ } },
    'one row a release, by labels': { profile: { targetGVK: gvk, attributes: attributesOf({ release: 'helm:release.releaseName', revision: 'helm:release.revision' }) }, target: { labelSelector: { matchLabels: { owner: 'helm', status: 'deployed' } } }, rows: { [latest]: { release: 'web', revision: 2 } } },
    'all revisions': { profile: { targetGVK: gvk, attributes: attributesOf({ status: 'helm:release.status' }) }, target: { labelSelector: { matchLabels: { name: 'web' } } }, rows: { 'sh.helm.release.v1.web.v1': { status: 'superseded' }, [latest]: { status: 'deployed' } } },
    'what is no release': failing({ ...base('broken', { value: 'helm:release.releaseName' }), rows: { broken: { value: null } } }, 'data.release is not JSON'),
    'a Secret without a release': failing({ ...base('login', { value: 'helm:release.releaseName' }), rows: { login: { value: null } } }, 'the Secret has no data.release; select the Secrets of Helm by the label owner: helm'),

    'the type of a Secret': ofLogin('$.type', 'Opaque', {}),
    'the data of a Secret': ofLogin('$.data', hiddenData),
    'a key of it': ofLogin('$.data.user', hiddenData),
    'all its values': ofLogin('$.data.*', [hiddenData, hiddenData]),
    'its keys': ofLogin('cel:object.data.map(k, k)', ['pass', 'user']),
    'below everything': ofLogin('$..pass', [hiddenData]),
    'the annotation of kubectl': ofLogin('$.metadata.annotations', { owner: 'ops', 'kubectl.kubernetes.io/last-applied-configuration': hiddenData }),
    'comparing does not tell': ofLogin(`cel:object.data.user == "${Buffer.from(canary).toString('base64')}"`, false),
    'what is computed from it': failing(ofLogin('cel:object.data.user + "x"', null), 'no such overload: map + string at "object.data.user + \\"x\\""'),
    'without consent: the data': refusedWithout('$.data'),
    'without consent: all values': refusedWithout('$.*'),
    'without consent: all below': refusedWithout('$..user'),
    'without consent: in CEL': refusedWithout('cel:object["data"]["user"]'),
    'without consent: the whole object': refusedWithout('cel:[object]'),
    'without consent: the annotation of kubectl': refusedWithout('$.metadata.annotations'),
    'whether there is data, without consent': ofLogin('cel:has(object.metadata.annotations)', true, {}),
    'a whole Secret': {
      profile: { targetGVK: gvk, export: { mode: 'Resource', include: 'All', prune: { jsonPointers: ['/metadata/creationTimestamp'] } } },
      annotations: wholeConsent,
      target: { names: ['login'] },
      rows: { login: { resource: { apiVersion: 'v1', kind: 'Secret', metadata: { annotations: { owner: 'ops' } }, type: 'Opaque', data: hiddenData } } },
    },
    'a whole Secret with its copy by kubectl': {
      profile: { targetGVK: gvk, export: { mode: 'Resource', include: 'All', dedupeIdentity: true, prune: { defaults: false, jsonPaths: ["$.metadata['creationTimestamp','managedFields','resourceVersion']"] } } },
      annotations: wholeConsent,
      target: { names: ['login'] },
      rows: { login: { resource: { apiVersion: 'v1', kind: 'Secret', metadata: { annotations: { owner: 'ops', 'kubectl.kubernetes.io/last-applied-configuration': hiddenData } }, type: 'Opaque', data: hiddenData } } },
    },
    'a whole Secret without consent': { profile: { targetGVK: gvk, export: { mode: 'Resource' } }, refused: { profile: /export\.mode/ } },
    'a policy over data, without consent': { ...ofLogin('$.type', 'Opaque', {}), target: { resourceRules: [{ gvk, matchPolicy: 'object.data.user == "x"' }] }, refused: { target: /may read the data of Secrets/ } },
    'a policy over what is no data': { ...ofLogin('$.type', 'Opaque', {}), target: { resourceRules: [{ gvk, matchPolicy: 'object.metadata.name == "login"' }] } },
  },
};
