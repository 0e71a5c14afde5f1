import { logFormats, logLevels } from '../shared/log.ts';
import { parseFlags, type FlagDefinitions, type FlagValues } from '../shared/flags.ts';

const definitions = {
  kubeconfig: {
    type: 'string',
    default: '',
    placeholder: 'file',
    help: 'Kubeconfig of the cluster. Without it: the service account inside a cluster, else $KUBECONFIG or ~/.kube/config.',
  },
  'health-probe-bind-address': { type: 'string', default: ':8081', placeholder: 'address', help: 'Address of /healthz and /readyz; 0 turns them off.' },
  'metrics-bind-address': { type: 'string', default: ':8080', placeholder: 'address', help: 'Address of /metrics; 0 turns it off.' },
  'allow-private-sinks': { type: 'boolean', default: true, help: 'Let sinks point to private addresses, such as Services of the cluster.' },
  'allow-loopback-sinks': { type: 'boolean', default: false, help: 'Let sinks point to this machine. For development; refused inside a cluster.' },
  'map-host': {
    type: 'list',
    placeholder: 'name:port=address:port',
    help: 'Reach a sink host at another address. For development; refused inside a cluster.',
  },
  'shutdown-timeout': { type: 'integer', default: 20, min: 1, max: 600, help: 'Seconds that running exports may take to finish on SIGTERM.' },
  'log-level': { type: 'string', default: 'info', choices: logLevels, help: 'Least level that is logged.' },
  'log-format': { type: 'string', default: 'json', choices: logFormats, help: 'JSON lines, or text for people.' },
  version: { type: 'boolean', default: false, help: 'Print the version.' },
} as const satisfies FlagDefinitions;

export type ControllerOptions = FlagValues<typeof definitions>;

export function parseOptions(argv: readonly string[]): ControllerOptions {
  return parseFlags(definitions, argv, { usage: 'controller [flags]' });
}
