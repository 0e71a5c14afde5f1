import { z } from 'zod';
import { ageColumn, objectOf, type KindDefinition } from './kind.ts';
import { scopeCeilingFields, scopeNames } from './scope-ceiling.ts';

export const KollectClusterScopeSpec = z.object({
  ...scopeCeilingFields,
  allowedStaticRefNamespaces: scopeNames('Namespaces that cluster kinds may name for profiles and sinks; any when empty.'),
});
export type KollectClusterScopeSpec = z.infer<typeof KollectClusterScopeSpec>;

export const KollectClusterScope = objectOf('KollectClusterScope', KollectClusterScopeSpec, z.unknown());
export type KollectClusterScope = z.infer<typeof KollectClusterScope>;

export const kollectClusterScope: KindDefinition = {
  kind: 'KollectClusterScope',
  plural: 'kollectclusterscopes',
  singular: 'kollectclusterscope',
  shortNames: ['kcscope'],
  scope: 'Cluster',
  description: 'Bounds what cluster targets and cluster inventories may do. Of several, the first by name counts.',
  spec: KollectClusterScopeSpec,
  columns: [ageColumn],
};
