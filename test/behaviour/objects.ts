/** YAML of the objects that behaviour tests apply. A test overrides what it is about. */

export interface PipelineOptions {
  namespace: string;
  dsn: string;
  /** Keys of the Secret; the DSN under `dsn` when unset. */
  secret?: Record<string, string>;
  /** Deployments when unset. */
  targetGVK?: { group: string; version: string; kind: string };
  attributes?: { name: string; path: string; optional?: boolean }[];
  targetSpec?: string;
  inventorySpec?: string;
  sinkSpec?: string;
}

const deployments = { group: 'apps', version: 'v1', kind: 'Deployment' };
const defaultAttributes = [
  { name: 'image', path: '$.spec.template.spec.containers[0].image' },
  { name: 'replicas', path: 'cel:object.spec.replicas' },
];

/** Applications of Argo CD, as far as the samples look at them. */
export const applicationCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'applications.argoproj.io' },
  spec: {
    group: 'argoproj.io',
    names: { plural: 'applications', singular: 'application', kind: 'Application', listKind: 'ApplicationList' },
    scope: 'Namespaced',
    versions: [{ name: 'v1alpha1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }],
  },
};

/** Secret, profile, target, sink and inventory of one namespace. */
export function pipeline(options: PipelineOptions): string {
  return [secret(options), profile(options), target(options), sink(options), inventory(options)].join('---\n');
}

export function secret({ namespace, dsn, secret: keys }: PipelineOptions): string {
  return manifest({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn', namespace }, stringData: keys ?? { dsn } });
}

export function profile({ namespace, targetGVK = deployments, attributes = defaultAttributes }: PipelineOptions): string {
  return manifest({
    apiVersion: 'kollect.dev/v1alpha1',
    kind: 'KollectProfile',
    metadata: { name: 'deployments', namespace },
    spec: { targetGVK, attributes },
  });
}

export function target({ namespace, targetSpec = '' }: PipelineOptions): string {
  return `apiVersion: kollect.dev/v1alpha1
kind: KollectTarget
metadata: {name: web, namespace: ${namespace}}
spec:
  profileRef: deployments
${indent(targetSpec)}`;
}

export function sink({ namespace, sinkSpec = '' }: PipelineOptions): string {
  return `apiVersion: kollect.dev/v1alpha1
kind: KollectDatabaseSink
metadata: {name: pg, namespace: ${namespace}}
spec:
  type: postgres
${sinkSpec.includes('postgres:') ? '' : '  postgres: {databaseRef: {name: dsn}, table: inventory_items}\n'}${indent(sinkSpec)}`;
}

export function inventory({ namespace, inventorySpec = '' }: PipelineOptions): string {
  return `apiVersion: kollect.dev/v1alpha1
kind: KollectInventory
metadata: {name: inventory, namespace: ${namespace}}
spec:
${inventorySpec.includes('SinkRefs:') ? '' : '  databaseSinkRefs: [pg]\n'}${indent(inventorySpec)}`;
}

export function deployment(namespace: string, name: string, replicas = 1): string {
  return manifest({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image: `example.org/${name}:1.0` }] } },
    },
  });
}

/** JSON is YAML. */
function manifest(object: unknown): string {
  return `${JSON.stringify(object)}\n`;
}

function indent(text: string): string {
  return text === '' ? '' : `${text.trimEnd().replace(/^/gm, '  ')}\n`;
}
