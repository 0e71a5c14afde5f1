import { z } from 'zod';
import { inventoryColumns, inventoryCommonFields, inventoryStatusFields } from './inventory-common.ts';
import { objectOf, type KindDefinition } from './kind.ts';

export const KollectInventorySpec = z.object({
  ...inventoryCommonFields,
  maxExportBytes: z
    .number()
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Bytes above which the documents of snapshot sinks are split into parts; unlimited when unset. References may have their own.', format: 'int64' }),
  httpEndpoint: z
    .object({
      enabled: z.boolean().optional().meta({ description: 'Serve the rows of this inventory.' }),
      port: z.number().int().min(1).max(65535).optional().meta({ description: 'Port to serve on.', format: 'int32' }),
    })
    .optional()
    .meta({ description: 'Read-only HTTP access; not served yet.' }),
});
export type KollectInventorySpec = z.infer<typeof KollectInventorySpec>;

export const KollectInventoryStatus = z.object(inventoryStatusFields);
export type KollectInventoryStatus = z.infer<typeof KollectInventoryStatus>;

export const KollectInventory = objectOf('KollectInventory', KollectInventorySpec, KollectInventoryStatus);
export type KollectInventory = z.infer<typeof KollectInventory>;

export const kollectInventory: KindDefinition = {
  kind: 'KollectInventory',
  plural: 'kollectinventories',
  singular: 'kollectinventory',
  shortNames: ['kinv'],
  scope: 'Namespaced',
  description: 'Exports the rows of all targets of its namespace to sinks, and keeps the sinks equal to them.',
  spec: KollectInventorySpec,
  status: KollectInventoryStatus,
  columns: inventoryColumns,
};
