import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { Cluster } from '../servers/cluster.ts';
import type { Right } from './service-account.ts';

// What tests read of the manifests of the webhook.

const Labels = z.record(z.string(), z.string());
const Selector = z.object({ matchLabels: Labels });
const Metadata = z.object({ name: z.string(), namespace: z.string().optional() });
const Probe = z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) });

const Container = z.looseObject({
  args: z.array(z.string()),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })),
  startupProbe: Probe.loose(),
  livenessProbe: Probe.loose(),
  readinessProbe: Probe.loose(),
});

const PodSpec = z.looseObject({
  serviceAccountName: z.string(),
  terminationGracePeriodSeconds: z.number(),
  topologySpreadConstraints: z.array(z.looseObject({ labelSelector: Selector })),
  containers: z.tuple([Container]),
  volumes: z.tuple([z.looseObject({ secret: z.looseObject({ secretName: z.string() }) })]),
});

const schemas = {
  Deployment: z.object({
    metadata: Metadata.extend({ namespace: z.string() }),
    spec: z.object({ replicas: z.number(), selector: Selector, template: z.object({ metadata: z.looseObject({ labels: Labels }), spec: PodSpec }) }),
  }),
  Service: z.object({ metadata: Metadata, spec: z.object({ selector: Labels, ports: z.tuple([z.object({ name: z.string(), port: z.number(), targetPort: z.string() })]) }) }),
  PodDisruptionBudget: z.object({ spec: z.object({ minAvailable: z.number(), selector: Selector }) }),
  NetworkPolicy: z.object({ spec: z.object({ podSelector: Selector, ingress: z.array(z.looseObject({ ports: z.tuple([z.object({ port: z.number() })]) })) }) }),
};

const Role = z.object({ metadata: Metadata, rules: z.array(z.object({ apiGroups: z.tuple([z.string()]), resources: z.array(z.string()), verbs: z.array(z.string()) })) });
export type PolicyRule = z.infer<typeof Role>['rules'][number];

const Configuration = z.object({
  webhooks: z.array(
    z.object({
      name: z.string(),
      clientConfig: z.object({ service: z.object({ name: z.string(), namespace: z.string() }) }),
      namespaceSelector: z.unknown().optional(),
      rules: z.array(z.object({ resources: z.array(z.string()) })),
    }),
  ),
});

export interface WebhookManifests {
  /** All of them, as they are. */
  objects: readonly { kind: string; metadata: { name: string; namespace?: string | undefined } }[];
  deployment: z.infer<typeof schemas.Deployment>;
  service: z.infer<typeof schemas.Service>;
  podDisruptionBudget: z.infer<typeof schemas.PodDisruptionBudget>;
  networkPolicy: z.infer<typeof schemas.NetworkPolicy>;
  /** Roles and ClusterRoles. */
  roles: readonly z.infer<typeof Role>[];
  /** Those of all roles. */
  rules: readonly PolicyRule[];
  /** Those of all configurations. */
  webhooks: readonly z.infer<typeof Configuration>['webhooks'][number][];
}

/** Builds a kustomization of the webhook. Rejects when an object that it needs is missing or not what it should be. */
export async function webhookManifests(cluster: Cluster, folder: string): Promise<WebhookManifests> {
  const { code, stdout, stderr } = await cluster.kubectl(['kustomize', folder]);
  if (code !== 0) throw new Error(stderr);
  const documents = parseAllDocuments(stdout).map((document) => document.toJS() as unknown);
  const objects = documents.map((document) => z.looseObject({ kind: z.string(), metadata: Metadata.loose() }).parse(document));
  const the = <T>(kind: string, schema: z.ZodType<T>): T => schema.parse(objects.find((object) => object.kind === kind), { error: () => `the ${kind} of ${folder}` });
  const roles = objects.filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole').map((role) => Role.parse(role));
  return {
    objects,
    deployment: the('Deployment', schemas.Deployment),
    service: the('Service', schemas.Service),
    podDisruptionBudget: the('PodDisruptionBudget', schemas.PodDisruptionBudget),
    networkPolicy: the('NetworkPolicy', schemas.NetworkPolicy),
    roles,
    rules: roles.flatMap(({ rules }) => rules),
    webhooks: objects.filter(({ kind }) => kind.endsWith('WebhookConfiguration')).flatMap((configuration) => Configuration.parse(configuration).webhooks),
  };
}

/** One of the rights that a role gives: a role takes effect as a whole. */
export function rightOf({ metadata: { namespace }, rules }: WebhookManifests['roles'][number]): Right {
  const [rule] = rules;
  const [verb, resource] = [rule?.verbs[0], rule?.resources[0]];
  if (rule === undefined || verb === undefined || resource === undefined) throw new Error('the role grants nothing');
  return { verb, resource: `${resource}.${rule.apiGroups[0]}`, namespace };
}
