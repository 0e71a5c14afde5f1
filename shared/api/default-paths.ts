/** Where sinks write when no template is set. */
export const defaultPaths = {
  /** The document of an inventory in a repository, and the index of a tree. */
  document: 'inventory/{namespace}/{name}{extension}',
  /** The document of an inventory in a bucket. */
  object: 'inventory/{namespace}/{name}.json',
  parquet: 'inventory/cluster={cluster}/ns={namespace}/name={name}/generation={generation}.parquet',
  /** The file of a row. */
  row: '{cluster}/{sourceNamespace}/{kind}/{sourceName}{extension}',
} as const;
