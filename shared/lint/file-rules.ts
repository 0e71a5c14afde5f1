/**
 * What `kollect lint` finds beyond admission: what a client or the API server refuse, drop or overwrite before a webhook is asked. The id of each,
 * and what it asks for.
 */
export const fileRules = {
  unreadable: 'A file must be there, be a text of YAML or JSON, and hold Kubernetes objects.',
  'duplicate-key': 'A key must be there once in an object.',
  'api-version': 'Must be the version of the API that is served.',
  kind: 'Must be a kind of the API.',
  'object-name': 'Must be there, and be a DNS-1123 subdomain.',
  'object-namespace': 'Must be a DNS-1123 label; cluster-scoped kinds have none.',
  'metadata-text': 'Labels and annotations must have valid keys, and be strings: true and numbers need quotes.',
  'unknown-field': 'Every field must be one of the schema.',
  'duplicate-object': 'An object should be defined once; the definition that is applied last wins.',
} as const satisfies Record<string, string>;

export type FileRule = keyof typeof fileRules;
