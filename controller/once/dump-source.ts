import { isDeepStrictEqual } from 'node:util';
import { annotations } from '../../shared/api/annotations.ts';
import { gvkKey } from '../../shared/api/gvk.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { Dump } from '../../shared/dump/dump.ts';
import { KollectError } from '../../shared/errors.ts';
import type { ApiResource, GroupVersionKind } from '../../shared/kube/discovery.ts';
import { isObject } from '../../shared/values.ts';
import type { NamespaceFacts } from '../collect/selection.ts';
import { withGrant, type SecretObject } from '../sinks/runtime/secrets.ts';
import { namespaceFacts, type ObjectSource, type WantedObjects } from './object-source.ts';

/** The kinds of Kubernetes itself whose objects are in no namespace. */
const clusterScoped = new Set(
  ('Namespace Node PersistentVolume ComponentStatus ClusterRole ClusterRoleBinding StorageClass VolumeAttachment VolumeAttributesClass CSIDriver CSINode IngressClass PriorityClass RuntimeClass ' +
    'CustomResourceDefinition APIService MutatingWebhookConfiguration ValidatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding MutatingAdmissionPolicy ' +
    'MutatingAdmissionPolicyBinding FlowSchema PriorityLevelConfiguration CertificateSigningRequest ClusterTrustBundle ServiceCIDR IPAddress DeviceClass ResourceSlice').split(' '),
);

/** Those that Kubernetes itself serves. */
const builtInGroups = new Set([
  '',
  'apps',
  'autoscaling',
  'batch',
  'extensions',
  'policy',
  ...(
    'admissionregistration apiextensions apiregistration authentication authorization certificates coordination discovery events flowcontrol.apiserver internal.apiserver networking node ' +
    'rbac.authorization resource scheduling storage storagemigration'
  )
    .split(' ')
    .map((name) => `${name}.k8s.io`),
]);

const namespaceKey = gvkKey({ group: '', version: 'v1', kind: 'Namespace' });
const secretKey = gvkKey({ group: '', version: 'v1', kind: 'Secret' });

/** Reads the objects of a cluster from a dump of it. */
export class DumpSource implements ObjectSource {
  readonly isWhole = false;
  readonly #dump: Dump;
  readonly #defaultNamespace: string;

  /** @param defaultNamespace of objects that name none though they are in one */
  constructor(dump: Dump, defaultNamespace: string) {
    this.#dump = dump;
    this.#defaultNamespace = defaultNamespace;
  }

  async namespaces(): Promise<NamespaceFacts[]> {
    const found: NamespaceFacts[] = [];
    for await (const objects of this.#dump.objects((key) => key === namespaceKey)) {
      found.push(...objects.map(({ metadata }) => namespaceFacts(metadata)));
    }
    return found;
  }

  async resolve(gvk: GroupVersionKind): Promise<ApiResource> {
    const namespaced = builtInGroups.has(gvk.group) ? !clusterScoped.has(gvk.kind) : (this.#dump.kinds.get(gvkKey(gvk))?.namespaced ?? true);
    const plural = pluralOf(gvk.kind);
    const root = gvk.group ? `/apis/${gvk.group}/${gvk.version}` : `/api/${gvk.version}`;
    return { ...gvk, plural, namespaced, verbs: ['list'], path: (namespace) => (namespaced && namespace ? `${root}/namespaces/${namespace}/${plural}` : `${root}/${plural}`) };
  }

  async *objects(wanted: readonly WantedObjects[]): AsyncGenerator<readonly KubeObject[]> {
    const byKey = new Map(wanted.map(({ key, resource }) => [key, resource]));
    for await (const objects of this.#dump.objects((key) => byKey.has(key))) {
      for (const object of objects) {
        const [version = '', group = ''] = object.apiVersion.split('/').toReversed();
        const resource = byKey.get(gvkKey({ group, version, kind: object.kind }));
        if (resource?.namespaced) object.metadata.namespace ??= this.#defaultNamespace;
      }
      yield objects;
    }
  }

  async readSecret(namespace: string, name: string): Promise<SecretObject | undefined> {
    let found: SecretObject | undefined;
    for await (const objects of this.#dump.objects((key) => key === secretKey)) {
      for (const { metadata, data, stringData } of objects) {
        if (metadata.name !== name || (metadata.namespace ?? this.#defaultNamespace) !== namespace) continue;
        const plain = isObject(stringData) ? Object.entries(stringData).map(([key, value]) => [key, Buffer.from(String(value)).toString('base64')]) : [];
        const secret = { metadata, data: { ...(data as Record<string, string> | undefined), ...(Object.fromEntries(plain) as Record<string, string>) } };
        if (found && !isDeepStrictEqual(found.data, secret.data)) throw new KollectError('KOL_EXPORT_INPUT', `Secret ${namespace}/${name} is given more than once, and not with the same content`);
        found = secret;
      }
    }
    if (!found) return undefined;
    const of = (await this.namespaces()).find((known) => known.name === namespace);
    return withGrant(found, of?.annotations?.[annotations.grantTo]);
  }

  async installation(): Promise<string | undefined> {
    for await (const objects of this.#dump.objects((key) => key === namespaceKey)) {
      const system = objects.find(({ metadata }) => metadata.name === 'kube-system');
      if (system) return system.metadata.uid;
    }
    return undefined;
  }
}

/** As kubectl guesses it. It is shown to nobody, and stands in the keys of objects that have no uid. */
function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (lower.endsWith('s')) return `${lower}es`;
  return lower.endsWith('y') ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}
