/** Labels that users set. */
export const labels = {
  /** On a namespace or object: `enabled` or `disabled`, the consent to be collected. */
  watch: 'kollect.dev/watch',
} as const;

/** Annotations that users set. */
export const annotations = {
  /** On a namespace: `enabled` or `disabled`, for all objects in it. */
  namespaceWatch: 'kollect.dev/namespace-watch',
  /** On a sink: `true`, or any new value but `false`, asks for one connection test. */
  testConnection: 'kollect.dev/test-connection',
  /** On a sink: `true` renders `status.preview`. */
  preview: 'kollect.dev/preview',
  /** On inventories and targets: any new value asks for one full comparison. */
  reconcile: 'kollect.dev/reconcile',
  /** On an inventory: `"true"` keeps every row in its sinks. */
  pauseDeletes: 'kollect.dev/pause-deletes',
  /** On an inventory: `"true"` lets one pass delete what was held back. */
  allowDeletes: 'kollect.dev/allow-deletes',
  /** On a Secret, or on a namespace for all in it that have none of their own: further namespaces whose sinks may use it, with commas between them. Without it admission alone decides. */
  grantTo: 'kollect.dev/grant-to',
} as const;

/** On a profile or target: `"true"` admits paths, or policies, that reach into Secret data. */
export const allowSecretExtraction = 'kollect.dev/allow-secret-extraction';
/** On a profile: `"true"` admits `export.mode: Resource` for Secrets. */
export const allowFullResourceExport = 'kollect.dev/allow-full-resource-export';

/** Finalizers that the controller sets and removes. */
export const finalizers = {
  target: 'kollect.dev/target-cleanup',
  clusterTarget: 'kollect.dev/cluster-target-cleanup',
  inventory: 'kollect.dev/inventory-cleanup',
  clusterInventory: 'kollect.dev/cluster-inventory-cleanup',
} as const;
