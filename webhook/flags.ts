import { parseDuration } from '../shared/api/duration.ts';
import { admissionFlags } from '../shared/admission-flags.ts';
import { parseBindAddress } from '../shared/bind-address.ts';
import { logFormats, logLevels } from '../shared/log.ts';
import { parseNamespaces } from '../shared/name-list.ts';

/** The command line of the webhook. */
export const webhookFlags = {
  port: { type: 'integer', default: 9443, min: 0, max: 65_535, help: 'Port of the admission server, HTTPS. 0 takes a free one.' },
  'cert-path': { type: 'string', default: '/certs', placeholder: 'dir', help: 'Directory of the serving certificate. Renewed files are taken without a restart.' },
  'cert-name': { type: 'string', default: 'tls.crt', placeholder: 'file', help: 'Certificate chain in that directory, PEM.' },
  'cert-key': { type: 'string', default: 'tls.key', placeholder: 'file', help: 'Private key in that directory, PEM.' },
  'client-ca-path': { type: 'string', placeholder: 'file', help: 'Serve only clients with a certificate of these authorities, PEM. By default the API server has none.' },
  kubeconfig: { type: 'string', default: '', placeholder: 'file', help: 'Kubeconfig of the cluster. Without it: $KUBECONFIG, the service account inside a cluster, else ~/.kube/config.' },
  'watch-namespaces': { type: 'parsed', parse: parseNamespaces, default: '', placeholder: 'name,name', help: 'Watch these namespaces only; all when unset. Objects of others cannot be judged and are refused: the namespaceSelector of the webhook configurations has to name the same. With --tenant-mode nothing of the whole cluster is watched.' },
  'authorize-references': { type: 'boolean', default: true, help: 'Refuse objects that would make Kollect read what their writer may not: Secrets and sinks of other namespaces, objects beyond the own one.' },
  'health-probe-bind-address': { type: 'parsed', parse: parseBindAddress, default: ':8081', placeholder: 'address', help: 'Where /healthz and /readyz answer, HTTP. 0 switches them off.' },
  'metrics-bind-address': { type: 'parsed', parse: parseBindAddress, default: '0', placeholder: 'address', help: 'Where /metrics answers, HTTP, such as :8080. 0 switches it off.' },
  ...admissionFlags,
  'map-host': { type: 'list', placeholder: 'name:port=address:port', help: 'Where the controller finds a name. For development: refused inside a cluster.' },
  'shutdown-delay': { type: 'parsed', parse: parseDuration, default: '5s', placeholder: 'duration', help: 'How long to keep serving after SIGTERM, until no endpoint names this pod any more.' },
  'log-level': { type: 'string', default: 'info', choices: logLevels, help: 'Least level that is written.' },
  'log-format': { type: 'string', default: 'json', choices: logFormats, help: 'One JSON object a line, or text for people.' },
  version: { type: 'boolean', default: false, help: 'Print the version and exit.' },
} as const;
