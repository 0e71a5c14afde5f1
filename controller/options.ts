import { parseDuration } from '../shared/api/duration.ts';
import { parseBindAddress } from '../shared/bind-address.ts';
import { logFormats, logLevels } from '../shared/log.ts';
import { sinkTypeFacts, sinkTypes } from '../shared/api/sink-types.ts';
import { parseNames, parseNamespaces } from '../shared/name-list.ts';
import { parseFlags, type FlagDefinitions, type FlagValues } from '../shared/flags.ts';

const definitions = {
  kubeconfig: {
    type: 'string',
    default: '',
    placeholder: 'file',
    help: 'Kubeconfig of the cluster. Without it: the service account inside a cluster, else $KUBECONFIG or ~/.kube/config.',
  },
  'health-probe-bind-address': { type: 'parsed', parse: parseBindAddress, default: ':8081', placeholder: 'address', help: 'Where /healthz and /readyz answer, HTTP. 0 switches them off.' },
  'metrics-bind-address': { type: 'parsed', parse: parseBindAddress, default: '0', placeholder: 'address', help: 'Where /metrics answers, HTTP, such as :8080. 0 switches it off.' },
  'watch-namespaces': { type: 'parsed', parse: parseNamespaces, default: '', placeholder: 'name,name', help: 'Work on the Kollect objects of these namespaces only, and collect from no others. All when unset.' },
  'default-included-namespaces': { type: 'parsed', parse: parseNamespaces, default: '', placeholder: 'name,name', help: 'Where targets collect that have a namespaceSelector and no includedNamespaces; both must hold. Anywhere when unset.' },
  'default-excluded-namespaces': { type: 'parsed', parse: parseNamespaces, default: '', placeholder: 'name,name', help: 'Where no target collects, whatever it says.' },
  'scrub-keys': { type: 'parsed', parse: parseNames, default: '', placeholder: 'key,key', help: 'Keys whose values are redacted in every profile, besides the built-in ones.' },
  'tenant-mode': { type: 'boolean', default: false, help: 'Leave KollectClusterTargets and KollectClusterInventories alone. The webhook needs the same value.' },
  sinks: { type: 'parsed', parse: parseSinkTypes, default: '', placeholder: 'type,type', help: 'Types of sinks that are exported to, such as postgres,git. Others are reported as ExportUnavailable. All when unset.' },
  'allow-private-sinks': { type: 'boolean', default: true, help: 'Export to sinks at RFC 1918 and unique local addresses. The webhook needs the same value.' },
  'allow-loopback-sinks': { type: 'boolean', default: false, help: 'Export to sinks at loopback addresses. For development: refused inside a cluster.' },
  'map-host': {
    type: 'list',
    placeholder: 'name:port=address:port',
    help: 'Where a name is found. For development: refused inside a cluster.',
  },
  'leader-elect': { type: 'boolean', default: false, help: 'Work only while holding a Lease in the namespace of the pod, so that there may be replicas: one works, the others wait. Without it there must be one.' },
  'leader-elect-lease-duration': { type: 'parsed', parse: parseDuration, default: '60s', placeholder: 'duration', help: 'How long the others wait after the last renewal that they saw of a leader that is gone.' },
  'leader-elect-renew-deadline': { type: 'parsed', parse: parseDuration, default: '40s', placeholder: 'duration', help: 'How long the leader goes on while it cannot renew the Lease. Then it ends, and starts again as one that waits.' },
  'leader-elect-retry-period': { type: 'parsed', parse: parseDuration, default: '5s', placeholder: 'duration', help: 'Time between two renewals.' },
  'denial-grace': {
    type: 'parsed',
    parse: parseDuration,
    default: '1h',
    placeholder: 'duration',
    help: 'How long rows stay after the right to list and watch their objects was lost, or their kind is not served any more. Then they leave, as if the objects were gone.',
  },
  'max-namespace-watches': {
    type: 'integer',
    default: 200,
    min: 0,
    help: 'Watches of one kind, where it may not be watched in the whole cluster but only in namespaces. Further namespaces are listed every --namespace-poll-interval.',
  },
  'namespace-poll-interval': {
    type: 'parsed',
    parse: parseDuration,
    default: '5m',
    placeholder: 'duration',
    help: 'Time between two lists of a namespace that is not watched, see --max-namespace-watches. At least 1s.',
  },
  'audit-interval': {
    type: 'parsed',
    parse: parseDuration,
    default: '1h',
    placeholder: 'duration',
    help: 'Time between two comparisons of the rows with what exists, by a list of metadata for each watch. What differs is listed again. 0 switches them off.',
  },
  'verify-interval': {
    type: 'parsed',
    parse: parseDuration,
    default: '6h',
    placeholder: 'duration',
    help: 'Mean time between two comparisons of all exported rows with what tables hold, in small steps that take a hundredth of the time at most. What differs is written again. 0 switches them off.',
  },
  'collect-metrics-sample-interval': {
    type: 'parsed',
    parse: parseDuration,
    default: '30s',
    placeholder: 'duration',
    help: 'Least time between two computations of the metrics that profiles ask for. They are computed when they are scraped, and never while their rows stay as they are.',
  },
  'log-level': { type: 'string', default: 'info', choices: logLevels, help: 'Least level that is written.' },
  'log-format': { type: 'string', default: 'json', choices: logFormats, help: 'One JSON object a line, or text for people.' },
  version: { type: 'boolean', default: false, help: 'Print the version and exit.' },
} as const satisfies FlagDefinitions;

export type ControllerOptions = FlagValues<typeof definitions>;

export function parseOptions(argv: readonly string[]): ControllerOptions {
  return parseFlags(definitions, argv, { usage: 'controller [flags]' });
}

/** Throws an `Error` that names the types. */
function parseSinkTypes(text: string): string[] {
  const types = parseNames(text);
  const wrong = types.find((type) => !sinkTypeFacts(type));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} is no type of sink; write some of ${Object.keys(sinkTypes).join(', ')} with commas between them`);
  return types;
}
