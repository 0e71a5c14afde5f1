import type { AddressPolicy } from '../net/address-policy.ts';
import { forbidden } from './finding.ts';
import type { Finding } from './finding.ts';

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

/** The rule by which an installation takes no object of a kind. */
export const tenantModeRule = 'tenant-mode';

/** Why the installation refuses objects of a kind, whatever they say; undefined when it takes them. */
export function policyFinding(kind: string, installation: InstallationPolicy): Finding | undefined {
  const namespaced = installation.tenantMode ? clusterCollectors.get(kind) : undefined;
  if (namespaced === undefined) return undefined;
  const detail = `this installation runs in tenant mode, without rights on the whole cluster; use ${namespaced} in your namespace`;
  return { ...forbidden('kind', detail), rule: tenantModeRule, policy: true };
}
