import type { AddressPolicy } from '../net/address-policy.ts';

/** What the installation allows, by its flags. */
export interface InstallationPolicy {
  addresses: AddressPolicy;
  /** Ceiling of every `maxExportBytes`; unset means none. */
  maxExportBytes?: number;
  /** The installation serves the namespaces of one tenant and has no rights beyond them. */
  tenantMode: boolean;
}

const clusterCollectors: ReadonlyMap<string, string> = new Map([
  ['KollectClusterTarget', 'KollectTarget'],
  ['KollectClusterInventory', 'KollectInventory'],
]);

/** Why the installation refuses objects of a kind, whatever they say; undefined when it takes them. */
export function policyRefusal(kind: string, installation: InstallationPolicy): string | undefined {
  const namespaced = installation.tenantMode ? clusterCollectors.get(kind) : undefined;
  return namespaced && `this installation runs in tenant mode, without rights on the whole cluster; use ${namespaced} in your namespace`;
}
