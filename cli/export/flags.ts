import { admissionFlags } from '../../shared/admission-flags.ts';
import { compressions, serializationFormats, layoutModes } from '../../shared/api/sink-common.ts';
import type { FlagDefinitions } from '../../shared/flags.ts';
import { parseNames, parseNamespaces } from '../../shared/name-list.ts';

export const exportFlags = {
  filename: { type: 'list', short: 'f', placeholder: 'file|folder|-', help: 'Objects to read: YAML or JSON, of one or many documents, lists as kubectl get writes them; - for standard input.' },
  kubeconfig: { type: 'string', placeholder: 'file', help: 'Kubeconfig of a cluster to read the objects from. $KUBECONFIG or ~/.kube/config when neither this nor -f is given.' },
  context: { type: 'string', placeholder: 'name', help: 'Context of the kubeconfig to use; the current one when unset.' },
  namespace: { type: 'string', short: 'n', default: 'default', placeholder: 'name', help: 'Namespace of objects in files that name none.' },
  inventory: { type: 'string', placeholder: '[namespace/]name', help: 'Inventory to export. The only one when unset, and without any all targets together.' },
  to: { type: 'string', default: '-', placeholder: 'file|folder|-', help: 'Where to write: a file, by its ending (.json .ndjson .yaml .csv .parquet, then .gz or .zst); any other name is a folder, with files as a git sink lays them out; - is standard output.' },
  sink: { type: 'list', placeholder: 'family/[namespace/]name', help: 'Sink to export to, such as database/warehouse. With a folder as --to, its files are laid out as this sink has them.' },
  output: { type: 'string', short: 'o', choices: serializationFormats, help: 'Format. When unset: that of the file, json on standard output, yaml in folders.' },
  compression: { type: 'string', choices: compressions, help: 'Compression of files; snappy is for Parquet.' },
  layout: { type: 'string', choices: layoutModes, help: 'Files in a folder: one document, a file for each row, or both with an index. When unset, a file for each row if rows are whole objects.' },
  cluster: { type: 'string', placeholder: 'name', help: 'Name of the cluster in documents and paths. That of the sink when unset.' },
  diff: { type: 'boolean', default: false, help: 'Write nothing, and print which rows would be added, changed and removed. Exits with 1 when there are any.' },
  'dry-run': { type: 'boolean', default: false, help: 'Write nothing: read, judge and collect everything, and test the sinks.' },
  'allow-deletes': { type: 'boolean', default: false, help: 'Delete from a sink whatever the objects do not hold, however much it is.' },
  quiet: { type: 'boolean', short: 'q', default: false, help: 'Say nothing but errors.' },
  'scrub-keys': { type: 'parsed', parse: parseNames, default: '', placeholder: 'key,key', help: 'As the flag of the controller: keys to redact besides the built-in ones.' },
  'default-included-namespaces': { type: 'parsed', parse: parseNamespaces, default: '', placeholder: 'name,name', help: 'As the flag of the controller.' },
  'default-excluded-namespaces': { type: 'parsed', parse: parseNamespaces, default: '', placeholder: 'name,name', help: 'As the flag of the controller.' },
  ...admissionFlags,
} as const satisfies FlagDefinitions;

export const about = `Exports what targets collect, once and without an operator: the objects of files or of a cluster, to standard output, a file, a folder or
sinks. Profiles, targets, scopes, inventories and sinks stand among the objects; those of files are judged first as kollect lint does. With
files and a cluster, the files say what to export, and the cluster has it. What is selected, extracted, redacted and written is what the
controller would.

Exits with 0 when all rows are exported; with 1 when some objects are left out, because a limit or the sink refuses them, when files lack a
kind whose rows may be where they are written to, and under --diff when there are differences; and with 2 when nothing was exported, or
not to all sinks.

Examples:
  kubectl get deployments -A -o json | kollect export -f - -f kollect.yaml -o csv
  kollect export --context prod -f kollect.yaml -o yaml
  kollect export -f dump/ -f kollect.yaml --to inventory.parquet
  kollect export -f dump.yaml -f kollect.yaml --to out/ --layout perResource
  kollect export -f dump.yaml -f kollect.yaml --to out/ --diff
  kollect export -f dump.json -f kollect.yaml --inventory team-a/api --sink database/warehouse`;
