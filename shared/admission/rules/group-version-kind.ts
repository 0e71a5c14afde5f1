import type { LooseGvk } from '../../api/gvk.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import { isDnsSubdomain } from './names.ts';

/** A group, version and kind that a cluster can serve. */
export function groupVersionKind(field: string, gvk: LooseGvk | undefined, report: Report): void {
  if (gvk === undefined) return;
  const { group, version, kind } = gvk;
  if ([group, version, kind].includes('*')) report(invalid(field, `${group ?? ''}/${version ?? ''} ${kind ?? ''}`, 'patterns are not supported; name each kind with its group and version'));
  else {
    if (group !== undefined && group !== '' && !isDnsSubdomain(group)) report(invalid(`${field}.group`, group, 'must be an API group such as apps or cert-manager.io, or empty for the core group'));
    if (version === '') report(required(`${field}.version`, 'write the version of the API, such as v1'));
    else if (version?.includes('/')) report(invalid(`${field}.version`, version, withoutGroup(version)));
    else if (version !== undefined && !/^[a-z][a-z0-9]{0,62}$/.test(version)) report(invalid(`${field}.version`, version, 'must be the version of an API, such as v1 or v1beta1'));
    if (kind === '') report(required(`${field}.kind`, 'write the kind, such as Deployment'));
    else if (kind !== undefined && !/^[A-Za-z][A-Za-z0-9]{0,62}$/.test(kind)) report(invalid(`${field}.kind`, kind, 'must be a kind, such as Deployment'));
  }
}

/** `apps/v1` is how apiVersion writes it. */
function withoutGroup(apiVersion: string): string {
  const [group = '', version = ''] = apiVersion.split('/');
  return group === '' || version === '' ? 'write only the version; the group goes into the field "group"' : `write ${JSON.stringify(version)}, and the group ${JSON.stringify(group)} into the field "group"`;
}

/** Advice on kinds of Kubernetes itself that stand in the wrong group, or in the spelling of resources. */
export function likelyGroupVersionKind(field: string, gvk: LooseGvk | undefined, report: Report): void {
  const { group = '', kind } = gvk ?? {};
  // A version with a slash holds the group, which is said already.
  if (kind === undefined || gvk?.version?.includes('/') || !builtInGroups.has(group)) return;
  const lower = kind.toLowerCase();
  const meant = [lower, lower.replace(/s$/, ''), lower.replace(/es$/, ''), lower.replace(/ies$/, 'y')].map((name) => builtInKinds.get(name)).find((known) => known !== undefined);
  if (meant === undefined) return;
  if (meant.kind !== kind) report(warning(`${field}.kind`, `kinds are written as in objects; did you mean ${JSON.stringify(meant.kind)}?`));
  else if (!meant.groups.includes(group)) report(warning(`${field}.group`, `${kind} is ${meant.groups[0] === '' ? 'in the core group: leave the group out' : `in the group ${meant.groups[0]}`}`));
}

/** Kinds that people collect, by group; the first group counts where a kind is in two. Other groups may have kinds of the same names. */
const kindsByGroup: Readonly<Record<string, string>> = {
  '': 'ConfigMap Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod ReplicationController ResourceQuota Secret Service ServiceAccount',
  apps: 'DaemonSet Deployment ReplicaSet StatefulSet',
  autoscaling: 'HorizontalPodAutoscaler',
  batch: 'CronJob Job',
  'events.k8s.io': 'Event',
  'networking.k8s.io': 'Ingress IngressClass NetworkPolicy',
  policy: 'PodDisruptionBudget',
  'rbac.authorization.k8s.io': 'ClusterRole ClusterRoleBinding Role RoleBinding',
  'storage.k8s.io': 'StorageClass VolumeAttachment',
};

const builtInGroups: ReadonlySet<string> = new Set([...Object.keys(kindsByGroup), 'core', 'extensions']);

const builtInKinds: ReadonlyMap<string, { kind: string; groups: string[] }> = byName();

function byName(): Map<string, { kind: string; groups: string[] }> {
  const kinds = new Map<string, { kind: string; groups: string[] }>();
  for (const [group, names] of Object.entries(kindsByGroup)) {
    for (const kind of names.split(' ')) {
      const known = kinds.get(kind.toLowerCase());
      if (known === undefined) kinds.set(kind.toLowerCase(), { kind, groups: [group] });
      else known.groups.push(group);
    }
  }
  return kinds;
}
