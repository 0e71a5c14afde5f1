import { z } from 'zod';
import { ageColumn, objectOf, type KindDefinition } from './kind.ts';
import { scopeCeilingFields } from './scope-ceiling.ts';

export const KollectScopeSpec = z.object(scopeCeilingFields);
export type KollectScopeSpec = z.infer<typeof KollectScopeSpec>;

export const KollectScope = objectOf('KollectScope', KollectScopeSpec, z.unknown());
export type KollectScope = z.infer<typeof KollectScope>;

export const kollectScope: KindDefinition = {
  kind: 'KollectScope',
  plural: 'kollectscopes',
  singular: 'kollectscope',
  shortNames: ['kscope'],
  scope: 'Namespaced',
  description: 'Bounds what targets, inventories and sinks of its namespace may do. Of several, the first by name counts.',
  spec: KollectScopeSpec,
  columns: [ageColumn],
};
