import type { InstallationPolicy } from './admission/policy.ts';
import type { FlagDefinitions, FlagValues } from './flags.ts';

/** What an installation sets once, for all that judge objects: the webhook and `kollect lint`. */
export const admissionFlags = {
  'allow-private-sinks': { type: 'boolean', default: true, help: 'Accept sinks at RFC 1918 and unique local addresses. Webhook, controller and kollect lint need the same value.' },
  'allow-loopback-sinks': { type: 'boolean', default: false, help: 'Accept sinks at loopback addresses. For development: webhook and controller refuse it inside a cluster.' },
  'max-export-bytes': { type: 'integer', min: 1, help: 'Ceiling of every maxExportBytes. Unlimited when unset. Webhook and kollect lint need the same value.' },
  'tenant-mode': { type: 'boolean', default: false, help: 'Refuse KollectClusterTarget and KollectClusterInventory. Webhook, controller and kollect lint need the same value.' },
} as const satisfies FlagDefinitions;

export function installationPolicy(flags: Omit<FlagValues<typeof admissionFlags>, 'help' | 'arguments'>): InstallationPolicy {
  return {
    addresses: { allowPrivate: flags['allow-private-sinks'], allowLoopback: flags['allow-loopback-sinks'] },
    tenantMode: flags['tenant-mode'],
    ...(flags['max-export-bytes'] === undefined ? {} : { maxExportBytes: flags['max-export-bytes'] }),
  };
}
