import { z } from 'zod';
import { Duration } from './duration.ts';
import { conditionList, SecretReference } from './meta.ts';

export const Serialization = z.object({
  format: z.enum(['json', 'yaml', 'parquet', 'csv', 'ndjson']).optional().meta({ description: 'Format of what is written.' }),
  compression: z.enum(['none', 'gzip', 'snappy', 'zstd']).optional().meta({ description: 'Compression of what is written.' }),
});

export const SinkTls = z.object({
  insecureSkipVerify: z.boolean().optional().meta({ description: 'Do not verify the certificate of the server. For development.' }),
  caBundle: z.string().optional().meta({ description: 'Trusted authorities, PEM in base64.', format: 'byte' }),
  caSecretRef: SecretReference.optional().meta({ description: 'Secret with the trusted authorities under tls.crt, ca.crt or ca.pem.' }),
  clientCertificateSecretRef: SecretReference.optional().meta({ description: 'Secret with the client certificate under tls.crt and tls.key.' }),
});

export const Layout = z.object({
  mode: z.enum(['document', 'perResource', 'split']).optional().meta({ description: 'One document, a file for each row, or both.' }),
  content: z.enum(['item', 'attributes', 'manifest']).optional().meta({ description: 'What a file of a row holds.' }),
  pathTemplate: z.string().optional().meta({ description: 'Path of the file of a row.' }),
  index: z
    .object({
      enabled: z.boolean().optional().meta({ description: 'Write an index.' }),
      pathTemplate: z.string().optional().meta({ description: 'Path of the index.' }),
    })
    .optional()
    .meta({ description: 'The index beside the files.' }),
  filename: z
    .object({
      groupInPath: z.enum(['auto', 'always', 'never']).optional().meta({ description: 'Whether the API group is a folder.' }),
      lowercaseKind: z.boolean().optional().meta({ description: 'Write kinds in lower case.' }),
      maxSegmentLength: z.number().int().min(1).optional().meta({ description: 'Longest name of a file or folder.', format: 'int32' }),
    })
    .optional()
    .meta({ description: 'How names of files are made.' }),
});

/** Fields that every sink kind has beside its type and the blocks of its backends. */
export const sinkCommonFields = {
  endpoint: z.string().optional().meta({ description: 'Address of the destination, for types that have one.' }),
  secretRef: SecretReference.optional().meta({ description: 'Secret with the credentials.' }),
  tls: SinkTls.optional().meta({ description: 'Trust and identity of the connection.' }),
  connectionTest: z.boolean().default(true).meta({ description: 'Test the connection when the sink is created or changed.' }),
  cluster: z.string().optional().meta({ description: 'Name of this cluster in what is exported, for destinations that many clusters share.' }),
  pathTemplate: z.string().optional().meta({ description: 'Path of the document; {cluster}, {namespace}, {name}, {generation} and {extension} are replaced.' }),
  exportMinInterval: Duration.optional().meta({ description: 'Time between checks of an unchanged destination, for references without one of their own. Changes never wait for it.' }),
  serialization: Serialization.optional().meta({ description: 'How rows are written.' }),
  layout: Layout.optional().meta({ description: 'Files of a git repository.' }),
  provisioning: z
    .object({
      mode: z.enum(['ensure', 'existing']).optional().meta({ description: 'ensure creates what is missing, existing never does.' }),
      naming: z.object({ template: z.string().optional().meta({ description: 'Name of what is created.' }) }).optional().meta({ description: 'Names of what is created.' }),
    })
    .optional()
    .meta({ description: 'Whether Kollect may create tables, collections, streams.' }),
  options: z.record(z.string(), z.string()).optional().meta({ description: 'Tuning that is passed through. No credentials.' }),
};

export const SinkStatus = z.object({
  conditions: conditionList,
  observedGeneration: z.number().int().optional().meta({ description: 'Generation of the spec that was probed.', format: 'int64' }),
  lastProbeTime: z.string().optional().meta({ description: 'When the connection was last tested.', format: 'date-time' }),
  preview: z
    .looseObject({})
    .optional()
    .meta({ description: 'What an export would look like, while the annotation kollect.dev/preview is set.', 'x-kubernetes-preserve-unknown-fields': true }),
});
export type SinkStatus = z.infer<typeof SinkStatus>;
