/** Where sinks write when no template is set. */
export const defaultPaths = {
  /** The document of an inventory, and the index of a tree. */
  document: 'inventory/{namespace}/{name}{extension}',
  /** The document of an inventory as Parquet. */
  parquet: 'inventory/cluster={cluster}/ns={namespace}/name={name}/generation={generation}.parquet',
  /** The file of a row. */
  row: '{cluster}/{sourceNamespace}/{kind}/{sourceName}{extension}',
} as const;
