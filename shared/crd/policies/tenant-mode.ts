import type { Policy } from '../policy.ts';

export const tenantMode: Policy = {
  name: 'kollect-tenant-mode',
  description: 'An installation for one tenant takes no kinds that collect from the whole cluster.',
  kinds: ['KollectClusterTarget', 'KollectClusterInventory'],
  findings: [{ rule: 'tenant-mode', fields: `['spec']`, says: 'this installation runs in tenant mode, without rights on the whole cluster; use the namespaced kinds' }],
  reason: 'Forbidden',
  overlay: 'tenant',
};
