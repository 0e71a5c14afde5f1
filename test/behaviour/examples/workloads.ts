import { attributesOf, hidden, optional, type Example, type ExampleObject, type World } from './example.ts';

const deployment = (name: string, spec: object, containers: object[], metadata: object = {}): ExampleObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, ...metadata },
  spec: { ...spec, selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: { containers } } },
  status: { observedGeneration: 1 },
});

const twelve = Array.from({ length: 12 }, (_, index) => ({
  name: `c${index}`,
  image: `registry.example.com/team/c${index}:1.${index}`,
  ...(index % 4 === 0 ? { resources: { limits: { memory: `${512 * (index + 1)}Mi`, cpu: '1500m' }, requests: { cpu: '0.5' } } } : {}),
  ...(index === 1 ? { livenessProbe: { httpGet: { path: '/', port: 'http' } }, ports: [{ name: 'http', containerPort: 8080 }] } : {}),
  ...(index === 2 ? { livenessProbe: { httpGet: { path: '/', port: 8081 } } } : {}),
  ...(index === 3 ? { env: [{ name: 'MODE', value: 'fast' }, { name: 'API_TOKEN', value: 'canary-5e11' }, { name: 'EMPTY', value: '' }, { name: 'DB', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] } : {}),
}));

const pod: ExampleObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'busy', labels: { app: 'busy', 'app.kubernetes.io/version': 'v1.27.3' }, annotations: { owner: 'ops@example.com', 'example.com/ids': '3,1,2' } },
  spec: { initContainers: [{ name: 'init', image: 'busybox:1.36', args: ['sh', '-c', 'true'] }], containers: twelve, nodeSelector: { 'kubernetes.io/os': 'linux' }, tolerations: [{ operator: 'Exists' }] },
  status: { phase: 'Running', podIP: '10.1.2.3', conditions: [{ type: 'Ready', status: 'True' }, { type: 'PodScheduled', status: 'False', reason: 'Waiting' }] },
};

const service = (name: string, clusterIP: string, ports: object[]): ExampleObject => ({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { clusterIP, ports, ...(clusterIP === 'None' ? {} : { selector: { app: name } }) } });

const event: ExampleObject = {
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: 'busy.17' },
  involvedObject: { kind: 'Pod', name: 'busy', namespace: 'shop', fieldPath: 'spec.containers{c0}' },
  reason: 'BackOff',
  message: 'Back-off "restarting" failed container <c0> & others: ünïcode 😀',
  type: 'Warning',
  count: 42,
  firstTimestamp: '2026-01-31T12:00:00Z',
  lastTimestamp: '2026-01-31T12:30:00Z',
};

const deployments = { group: 'apps', version: 'v1', kind: 'Deployment' };
const of = (targetGVK: Example['profile']['targetGVK'], names: string[], attributes: Parameters<typeof attributesOf>[0]): Pick<Example, 'profile' | 'target'> => ({ profile: { targetGVK, attributes: attributesOf(attributes) }, target: { names } });
const ofPod = (path: string | { path: string; type?: string; optional?: boolean }, value: unknown): Example => ({ ...of({ version: 'v1', kind: 'Pod' }, ['busy'], { value: path }), rows: { busy: value === undefined ? {} : { value } } });
const failing = (path: string | { path: string; type?: string }, error: string): Example => ({ ...ofPod(path, null), status: { failures: 1, error: `attribute "value": ${error}` } });
const refusedPath = (path: string, message: RegExp): Example => ({ ...ofPod(path, null), refused: { profile: message } });

export const workloads: World = {
  home: 'shop',
  objects: [
    deployment('cart', { replicas: 3 }, [{ name: 'cart', image: 'cart:2.4' }, { name: 'envoy', image: 'envoy:1.30' }]),
    deployment('single', { replicas: 0, paused: true }, [{ name: 'only', image: 'only:1' }], { labels: { tier: 'gold' }, annotations: { owner: 'ops' } }),
    pod,
    service('web', '10.0.0.77', [{ name: 'http', port: 80, targetPort: 8080 }, { name: 'admin', port: 81, targetPort: 'admin' }]),
    service('headless', 'None', [{ port: 5432 }]),
    event,
  ],
  examples: {
    'attributes of a Deployment': {
      ...of(deployments, ['cart'], {
        images: '$.spec.template.spec.containers[*].image',
        firstImage: '{.spec.template.spec.containers[0].image}',
        replicas: '$.spec.replicas',
        ready: 'cel:has(object.status.readyReplicas) ? object.status.readyReplicas : 0',
        size: "cel:string(object.spec.replicas) + ' pods'",
        tier: '$.metadata.labels.tier',
        owner: optional('$.metadata.annotations.owner'),
      }),
      rows: { cart: { firstImage: 'cart:2.4', images: ['cart:2.4', 'envoy:1.30'], ready: 0, replicas: 3, size: '3 pods', tier: null } },
      status: { failures: 1, error: 'attribute "tier": no value' },
    },
    'a list of one container is a list': { ...of(deployments, ['single'], { images: '$.spec.template.spec.containers[*].image' }), rows: { single: { images: ['only:1'] } } },
    'an index behind the end': { ...of(deployments, ['cart'], { sixth: '{.spec.template.spec.containers[5].image}' }), rows: { cart: { sixth: null } }, status: { failures: 1, error: 'attribute "sixth": no value' } },
    'a field that is not set, in CEL': { ...of(deployments, ['cart'], { paused: 'cel:object.spec.paused' }), rows: { cart: { paused: null } }, status: { failures: 1, error: 'attribute "paused": no such key at "object.spec.paused"; guard it with has()' } },
    'a field that is not set, in JSONPath': { ...of(deployments, ['cart'], { paused: '$.spec.paused' }), rows: { cart: { paused: null } }, status: { failures: 1, error: 'attribute "paused": no value' } },
    'the same, optional': { ...of(deployments, ['cart', 'single'], { one: optional('$.spec.paused'), two: optional('cel:object.spec.paused') }), rows: { cart: {}, single: { one: true, two: true } } },
    'one failing object leaves the others alone': { ...of(deployments, ['cart', 'single'], { owner: '$.metadata.annotations.owner', kind: '$.kind' }), rows: { cart: { owner: null, kind: 'Deployment' }, single: { owner: 'ops', kind: 'Deployment' } }, status: { failures: 1, error: 'attribute "owner": no value' } },
    'no attributes, only identity': { profile: { targetGVK: deployments }, target: { names: ['single'] }, rows: { single: {} } },
    'zero and false are values': { ...of(deployments, ['single'], { replicas: '$.spec.replicas', sum: 'cel:object.spec.replicas + 1', no: 'cel:!object.spec.paused' }), rows: { single: { no: false, replicas: 0, sum: 1 } } },

    'a name without braces or dollar is no path': refusedPath('metadata.name', /is plain text, not a path; write "\$\.metadata\.name"/),
    'CEL needs its prefix': refusedPath('object.metadata.name', /write "cel:object\.metadata\.name"/),
    'a template of several parts': refusedPath('{.metadata.name}-{.metadata.uid}', /text outside the braces/),
    'an unknown variable': refusedPath('cel:self.metadata.name', /did you mean object/),
    'an unknown type': { ...ofPod({ path: '$.metadata.name', type: 'date' }, null), refused: { profile: /use one of|supported values/ } },
    'a type that a list cannot have': { ...ofPod({ path: '$.spec.containers[*].name', type: 'int' }, null), refused: { profile: /gives a list/ } },
    'two attributes of one name': { profile: { targetGVK: deployments, attributes: [{ name: 'a', path: '$.kind' }, { name: 'a', path: '$.kind' }] }, refused: { profile: /[Dd]uplicate/ } },

    'all containers, in order': ofPod('$.spec.containers[*].name', twelve.map(({ name }) => name)),
    'the first two': ofPod('{.spec.containers[0:2].name}', ['c0', 'c1']),
    'the last': ofPod('$.spec.containers[-1:].name', ['c11']),
    'the last, as a value': ofPod('$.spec.containers[-1].name', 'c11'),
    'every fifth': ofPod('$.spec.containers[::5].name', ['c0', 'c5', 'c10']),
    'backwards': ofPod('$.spec.containers[2::-1].name', ['c2', 'c1', 'c0']),
    'some by index': ofPod('$.spec.containers[11,0].name', ['c11', 'c0']),
    'those with a limit': ofPod('$.spec.containers[?(@.resources.limits.memory)].name', ['c0', 'c4', 'c8']),
    'those with a value': ofPod('{.status.conditions[?(@.type=="Ready")].status}', ['True']),
    'none with a value': failing('$.status.conditions[?(@.type=="Other")].status', 'no value'),
    'all below': ofPod('$..image', [...twelve.map(({ image }) => image), 'busybox:1.36']),
    'projection skips what lacks the field': ofPod('$.spec.containers[*].ports[*].containerPort', [8080]),
    'keys with dots and slashes': ofPod("{.metadata.labels.app\\.kubernetes\\.io/version}", 'v1.27.3'),
    'keys with dots and slashes, quoted': ofPod('$.spec.nodeSelector["kubernetes.io/os"]', 'linux'),
    'whole maps': ofPod('$.metadata.labels', { app: 'busy', 'app.kubernetes.io/version': 'v1.27.3' }),
    'values of a map, by key': ofPod('$.metadata.labels.*', ['busy', 'v1.27.3']),
    'quantities as the API server writes them': ofPod('$.spec.containers[0,4].resources.limits.memory', ['512Mi', '2560Mi']),
    'quantities as bytes': ofPod('cel:quantity(object.spec.containers[4].resources.limits.memory).asInteger()', 2_684_354_560),
    'fractions of a core': ofPod('cel:object.spec.containers.filter(c, has(c.resources.limits)).map(c, quantity(c.resources.limits.cpu).asApproximateFloat())', [1.5, 1.5, 1.5]),
    'requests, written anew by the API server': ofPod('$.spec.containers[0].resources.requests.cpu', '500m'),
    'a sum over containers': ofPod('cel:object.spec.containers.filter(c, has(c.resources.limits)).map(c, quantity(c.resources.limits.memory).asInteger()).sum() / 1048576', 512 + 2560 + 4608),
    'int-or-string, as it is': ofPod('$.spec.containers[*].livenessProbe.httpGet.port', ['http', 8081]),
    'int-or-string, as text': ofPod({ path: '$.spec.containers[2].livenessProbe.httpGet.port', type: 'string' }, '8081'),
    'int-or-string, as a number': failing({ path: '$.spec.containers[1].livenessProbe.httpGet.port', type: 'int' }, 'the value is not of type int'),
    'int-or-string, as a number where it is one': ofPod({ path: '$.spec.containers[2].livenessProbe.httpGet.port', type: 'int' }, 8081),
    'a single value as a list': ofPod({ path: '$.status.podIP', type: 'list' }, ['10.1.2.3']),
    'a map that is none': failing({ path: '$.status.podIP', type: 'map' }, 'the value is not of type map'),
    'values beside sensitive names': ofPod('$.spec.containers[3].env[*].value', ['fast', hidden]),
    'references to Secrets': ofPod('$.spec.containers[3].env[3]', { name: 'DB', valueFrom: hidden }),
    'a sensitive attribute of CEL': { ...of({ version: 'v1', kind: 'Pod' }, ['busy'], { apiToken: 'cel:object.spec.containers[3].env[1].value + ""' }), rows: { busy: { apiToken: null } }, status: { failures: 1, error: 'attribute "apiToken": no such overload: map + string at "object.spec.containers[3].env[1].value + \\"\\""' } },
    'arguments of commands': ofPod('$.spec.initContainers[0].args', ['sh', '-c', 'true']),

    'optionals of CEL': ofPod('cel:object.metadata.?labels.?nope.orValue("none")', 'none'),
    'optionals that are empty': ofPod(optional('cel:object.metadata.?labels.?nope'), undefined),
    'text taken apart': ofPod('cel:object.metadata.annotations["example.com/ids"].split(",").map(i, int(i)).sort()', [1, 2, 3]),
    'versions': ofPod('cel:semver(object.metadata.labels["app.kubernetes.io/version"], true).minor()', 27),
    'patterns': ofPod('cel:object.metadata.annotations.owner.find("[^@]+$")', 'example.com'),
    'addresses': ofPod('cel:cidr("10.1.0.0/16").containsIP(object.status.podIP)', true),
    'all, some and one of': ofPod('cel:[object.spec.containers.all(c, c.image.startsWith("registry.")), object.spec.containers.exists(c, has(c.env)), object.spec.containers.exists_one(c, c.name == "c7")]', [true, true, true]),
    'maps made in CEL': ofPod('cel:{"first": object.spec.containers[0].name, "count": object.spec.containers.size()}', { count: 12, first: 'c0' }),
    'lists of several types': ofPod('cel:[object.spec.containers.size(), object.status.phase, 1.5]', [12, 'Running', 1.5]),
    'times': ofPod('cel:timestamp("2026-01-31T12:30:45Z") - duration("36h")', '2026-01-30T00:30:45Z'),
    'durations': ofPod('cel:duration("1h30m")', 5_400_000_000_000),
    'a division by zero': failing('cel:object.spec.containers.size() / 0', 'division by zero at "object.spec.containers.size() / 0"'),
    'text that is no number': failing('cel:int(object.status.phase)', 'the text is not an integer'),
    'a result that JSON cannot hold': failing('cel:type(object.status.phase)', 'the result is not a value that JSON can hold'),

    'ports of a Service': { ...of({ version: 'v1', kind: 'Service' }, ['web', 'headless'], { ports: '$.spec.ports[*].targetPort', ip: optional('cel:isIP(object.spec.clusterIP) ? string(ip(object.spec.clusterIP)) : ""') }), rows: { web: { ports: [8080, 'admin'], ip: '10.0.0.77' }, headless: { ports: [5432], ip: '' } } },
    'an Event': {
      ...of({ version: 'v1', kind: 'Event' }, ['busy.17'], { about: '$.involvedObject.name', what: '$.message', count: '$.count', lasted: 'cel:(timestamp(object.lastTimestamp) - timestamp(object.firstTimestamp)).getMinutes()' }),
      rows: { 'busy.17': { about: 'busy', count: 42, lasted: 30, what: 'Back-off "restarting" failed container <c0> & others: ünïcode 😀' } },
    },
    'a suspended target': { profile: { targetGVK: deployments, attributes: attributesOf({ kind: '$.kind' }) }, target: { suspend: true }, status: { ready: 'False Suspended' } },
    'a profile that is not there': { profile: { targetGVK: deployments, attributes: attributesOf({ kind: '$.kind' }) }, target: { profileRef: 'absent' }, status: { ready: 'False ProfileNotFound' } },
  },
};
