/** An object as it is applied; in the home of its world unless it names a namespace or its kind has none. */
export interface ExampleObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  [field: string]: unknown;
}

/** What a profile and a target make of the objects of a world. */
export interface Example {
  profile: { targetGVK: { group?: string; version: string; kind: string }; attributes?: readonly object[]; export?: object };
  /** Of the profile. */
  annotations?: Record<string, string>;
  /** Spec of the target, beside its profile. */
  target?: object;
  /** A KollectClusterTarget instead of a KollectTarget. */
  clusterWide?: boolean;
  /** Attributes of all rows by name of the object, with its namespace before a slash where that is not the home. */
  rows?: Record<string, Record<string, unknown>>;
  /** What the status says besides the number of rows. */
  status?: {
    /** `True Collecting` when unset. */
    ready?: string;
    /** Of `status.extractionFailures`; 0 when unset. */
    failures?: number;
    error?: string;
    effectiveNamespaces?: readonly string[];
    matchedNamespaces?: readonly string[];
  };
  /** What the API server says instead of taking the profile, or the target. */
  refused?: { profile?: RegExp; target?: RegExp };
}

/** Objects that are in the cluster together, and examples over them. */
export interface World {
  /** Namespace of the profiles and targets. */
  home: string;
  /** All of them where `home` has labels, or where there are others. */
  namespaces?: Record<string, { labels?: Record<string, string>; annotations?: Record<string, string> }>;
  objects: readonly ExampleObject[];
  /** By what they show. */
  examples: Record<string, Example>;
}

/** Stands for a value under a sensitive key. */
export const hidden = { redacted: true, reason: 'sensitive-key' };
/** Stands for a private key or token, wherever it was. */
export const hiddenText = { redacted: true, reason: 'sensitive-value' };
/** Stands for the data of a Secret. */
export const hiddenData = { redacted: true, reason: 'secret-data' };

/** Part of every secret in the objects. It must be seen nowhere else. */
export const canary = 'canary-5e11';

/** Attributes by name: a path, or what else an attribute has. */
export function attributesOf(attributes: Record<string, string | { path: string; type?: string; optional?: boolean }>): readonly object[] {
  return Object.entries(attributes).map(([name, attribute]) => (typeof attribute === 'string' ? { name, path: attribute } : { name, ...attribute }));
}

export const optional = (path: string, type?: string): { path: string; type?: string; optional: boolean } => ({ path, optional: true, ...(type === undefined ? {} : { type }) });
