import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { Controller, type ControllerSettings } from '../../controller/controller.ts';
import type { Condition } from '../../shared/api/meta.ts';
import { createLogger } from '../../shared/log.ts';
import { installCrds } from '../kollect/installation.ts';
import { startCluster, type Cluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';

export interface TargetObject {
  metadata: { generation: number; finalizers?: string[] };
  status?: { conditions?: Condition[]; matchedNamespaces?: string[]; effectiveNamespaces?: string[]; collectedCount?: number; activeResourceRules?: number; extractionFailures?: number; lastExtractionError?: string };
}

/** A controller in this process over a real API server, without sinks: for what becomes a row and what does not. */
export interface Collecting {
  cluster: Cluster;
  controller: Controller;
  apply(...objects: object[]): Promise<void>;
  remove(resource: string, name: string, namespace?: string): Promise<void>;
  /** Makes a namespace and gives its name. */
  namespace(labels?: Record<string, string>, annotations?: Record<string, string>): Promise<string>;
  target(namespace: string, name: string): Promise<TargetObject>;
  /** Sorted `<namespace>/<name>` of the rows of a target, `''` as namespace of cluster targets. */
  names(namespace: string, name: string): string[];
  /** Payloads, parsed. */
  payloads(namespace: string, name: string): { attributes: Record<string, unknown>; [field: string]: unknown }[];
  /** Waits until these and no other rows are there. */
  untilNames(namespace: string, name: string, wanted: readonly string[]): Promise<void>;
  /** Waits until what the target now asks for is `Ready` with this status and reason, and such a message, which it gives. */
  untilReady(namespace: string, name: string, wanted: string, message?: RegExp): Promise<string>;
}

export async function startCollecting(t: Test, settings: Partial<ControllerSettings> = {}): Promise<Collecting> {
  const cluster = await startCluster();
  t.teardown(() => cluster.stop());
  await installCrds(cluster.kubectl);
  const controller = await startController(t, cluster, settings);
  return collecting(cluster, controller);
}

/** One more controller over a cluster that has one, or had one. */
export async function startController(t: Test, cluster: Cluster, settings: Partial<ControllerSettings> = {}): Promise<Controller> {
  const controller = await Controller.create({
    kubeconfig: cluster.kubeconfig,
    policy: { allowPrivate: true, allowLoopback: true },
    mapHosts: new Map(),
    watchNamespaces: [],
    namespaceDefaults: { included: [], excluded: [] },
    scrubKeys: [],
    tenantMode: false,
    metricsSampleIntervalMs: 0,
    identity: 'test',
    logger: createLogger({ level: 'error', format: 'text', name: 'controller' }),
    ...settings,
  });
  t.teardown(() => controller.stop());
  await controller.start();
  return controller;
}

export function collecting(cluster: Cluster, controller: Controller): Collecting {
  const run = async (args: string[], stdin?: string): Promise<string> => {
    const { code, stdout, stderr } = await cluster.kubectl(args, stdin === undefined ? {} : { stdin });
    if (code !== 0) throw new Error(stderr);
    return stdout;
  };
  const apply = async (...objects: object[]): Promise<void> => void (await run(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })));
  const resourceOf = (namespace: string): string[] => (namespace === '' ? ['kollectclustertargets'] : ['kollecttargets', '-n', namespace]);
  const target: Collecting['target'] = async (namespace, name) => JSON.parse(await run(['get', ...resourceOf(namespace), name, '-o', 'json'])) as TargetObject;
  const names: Collecting['names'] = (namespace, name) => [...(controller.rows.get(namespace, name)?.rows() ?? [])].map((row) => `${row.namespace}/${row.name}`).sort();
  return {
    cluster,
    controller,
    apply,
    target,
    names,
    remove: async (resource, name, namespace) => void (await run(['delete', resource, name, ...(namespace === undefined ? [] : ['-n', namespace])])),
    namespace: async (labels = {}, annotations = {}) => {
      const name = `test-${randomBytes(5).toString('hex')}`;
      await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels, annotations } });
      return name;
    },
    payloads: (namespace, name) => [...(controller.rows.get(namespace, name)?.rows() ?? [])].map((row) => JSON.parse(row.payload) as ReturnType<Collecting['payloads']>[number]),
    untilNames: async (namespace, name, wanted) => {
      await eventually(() => {
        const found = names(namespace, name);
        if (JSON.stringify(found) !== JSON.stringify([...wanted].sort())) throw new Error(`found ${found.join(' ') || 'nothing'}, wanted ${wanted.join(' ') || 'nothing'}`);
        return true;
      }, { what: `rows of ${namespace}/${name}` });
    },
    untilReady: (namespace, name, wanted, message = /^/) =>
      eventually(async () => {
        const { metadata, status } = await target(namespace, name);
        const ready = status?.conditions?.find(({ type }) => type === 'Ready');
        const isOfNow = ready?.observedGeneration === metadata.generation;
        if (!isOfNow || `${ready.status} ${ready.reason}` !== wanted || !message.test(ready.message)) throw new Error(`generation ${metadata.generation}: ${JSON.stringify(ready)}`);
        return ready.message;
      }, { what: `${namespace}/${name} Ready=${wanted}` }),
  };
}

const apiVersion = 'kollect.dev/v1alpha1';

export function kollectObject(kind: string, namespace: string, name: string, spec: object): object {
  return { apiVersion, kind, metadata: { name, ...(namespace === '' ? {} : { namespace }) }, spec };
}

export function configMap(namespace: string, name: string, more: { labels?: Record<string, string>; data?: Record<string, string> } = {}): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: more.labels ?? {} }, data: more.data ?? { size: '1' } };
}
