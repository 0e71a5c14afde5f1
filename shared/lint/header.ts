import { forbidden, invalid, notSupported, required, shownKey, warning } from '../admission/finding.ts';
import type { Finding, Report } from '../admission/finding.ts';
import { labelKey, labelValue } from '../admission/rules/label-selectors.ts';
import { namespaceHasItsField, namespaceName, objectName } from '../admission/rules/names.ts';
import { API_VERSION } from '../api/group.ts';
import type { KindDefinition } from '../api/kind.ts';
import { kindByName, kinds } from '../api/kinds.ts';
import type { FileRule } from './file-rules.ts';
import { isObject, textOf } from '../values.ts';

/** Takes what a rule about files found. */
export type FileReport = (rule: FileRule, finding: Finding) => void;

/** What an object says of itself before its spec. */
export interface Header {
  /** Undefined when the kind is unknown: then there is no rule to judge by. */
  definition: KindDefinition | undefined;
  kind: string;
  name: string;
  /** `""` for cluster-scoped kinds. */
  namespace: string;
}

/** Reads apiVersion, kind and metadata, and reports what the API server would not take. */
export function readHeader(object: Readonly<Record<string, unknown>>, defaultNamespace: string, report: FileReport): Header {
  const { apiVersion, kind, metadata } = object;
  if (apiVersion === undefined || apiVersion === null) report('api-version', required('apiVersion', `write ${API_VERSION}`));
  else if (apiVersion !== API_VERSION) report('api-version', { severity: 'error', field: 'apiVersion', type: 'NotSupported', value: apiVersion, detail: `write ${API_VERSION}, the version that is served` });

  const definition = typeof kind === 'string' ? kindByName(kind) : undefined;
  const names = kinds.map((known) => known.kind);
  if (kind === undefined || kind === null) report('kind', required('kind', `write one of ${names.join(', ')}`));
  else if (definition === undefined) report('kind', notSupported('kind', kind, names));

  const given = isObject(metadata) ? metadata : {};
  ownName(given, report);
  texts('metadata.labels', given.labels, report, (key, value, finding) => {
    labelKey('metadata.labels', key, finding);
    if (typeof value === 'string') labelValue(below('metadata.labels', key), value, finding);
  });
  // The API server does not mind the letter case of these.
  texts('metadata.annotations', given.annotations, report, (key, _value, finding) => labelKey('metadata.annotations', key.toLowerCase(), (found) => finding({ ...found, value: key })));
  return { definition, kind: textOf(kind), name: textOf(given.name) || textOf(given.generateName), namespace: ownNamespace(given, definition, defaultNamespace, report) };
}

function ownName({ name, generateName }: Readonly<Record<string, unknown>>, report: FileReport): void {
  const field = 'metadata.name';
  if (name === undefined || name === null || name === '') {
    if (typeof generateName !== 'string' || generateName === '') report('object-name', required(field, 'write the name of the object'));
    // What it ends with is no end: the API server adds to it.
    else objectName('metadata.generateName', generateName.replace(/-$/, ''), namespaceHasItsField, (finding) => report('object-name', { ...finding, value: generateName }));
  } else if (typeof name !== 'string') {
    report('object-name', invalid(field, name, `must be a string; write ${JSON.stringify(String(name))}`));
  } else {
    objectName(field, name, namespaceHasItsField, (finding) => report('object-name', finding));
  }
}

function ownNamespace({ namespace }: Readonly<Record<string, unknown>>, definition: KindDefinition | undefined, defaultNamespace: string, report: FileReport): string {
  const field = 'metadata.namespace';
  const isGiven = namespace !== undefined && namespace !== null && namespace !== '';
  if (definition?.scope === 'Cluster') {
    if (isGiven) report('object-namespace', warning(field, `${definition.kind} is cluster-scoped: the namespace is dropped`));
    return '';
  }
  if (!isGiven) return defaultNamespace;
  if (typeof namespace !== 'string') report('object-namespace', invalid(field, namespace, `must be a string; write ${JSON.stringify(String(namespace))}`));
  else namespaceName(field, namespace, (finding) => report('object-namespace', finding));
  return textOf(namespace);
}

function texts(field: string, map: unknown, report: FileReport, judge: (key: string, value: unknown, report: Report) => void): void {
  if (map === undefined || map === null) return;
  if (!isObject(map)) return report('metadata-text', forbidden(field, 'must be an object of strings'));
  for (const [key, value] of Object.entries(map)) {
    judge(key, value, (finding) => report('metadata-text', finding));
    if (typeof value === 'string' || value === null) continue;
    const hint = typeof value === 'object' ? '' : `; write ${JSON.stringify(String(value))}, with quotes`;
    report('metadata-text', invalid(below(field, key), typeof value === 'object' ? 'object' : value, `must be a string${hint}`));
  }
}

function below(field: string, key: string): string {
  return `${field}[${shownKey(key)}]`;
}
