import { z } from 'zod';
import { defaultPaths } from './default-paths.ts';
import { Duration } from './duration.ts';
import { conditionList, observedGeneration, SecretReference, timestamp } from './meta.ts';
import { SinkPreview } from './sink-preview.ts';
import { text } from './text.ts';

export const serializationFormats = ['json', 'yaml', 'parquet', 'csv', 'ndjson'] as const;
export const compressions = ['none', 'gzip', 'snappy', 'zstd'] as const;
export const layoutModes = ['document', 'perResource', 'split'] as const;
export const layoutContents = ['item', 'attributes', 'manifest'] as const;
export const provisioningModes = ['ensure', 'existing'] as const;

export const Serialization = z.object({
  format: z
    .enum(serializationFormats)
    .optional()
    .meta({ description: 'Format of what is written; yaml for git and gitlab, json for all others when unset. Not every type can write every format.' }),
  compression: z.enum(compressions).optional().meta({ description: 'Compression of what is written; none when unset. Not every type can compress; snappy is for parquet.' }),
});

export const SinkTls = z.object({
  insecureSkipVerify: z.boolean().optional().meta({ description: 'Do not verify the certificate of the server: anyone on the way can read and change what is exported. For development.' }),
  caBundle: z.string().optional().meta({ description: 'Authorities to trust instead of those of the system: PEM in base64, at most 64 KiB. Not together with caSecretRef.', format: 'byte' }),
  caSecretRef: SecretReference.optional().meta({ description: 'Secret with the authorities to trust, as PEM under tls.crt, ca.crt or ca.pem.' }),
  clientCertificateSecretRef: SecretReference.optional().meta({ description: 'Secret of the type kubernetes.io/tls with the certificate and key to log in with, under tls.crt and tls.key.' }),
});

export const Layout = z.object({
  mode: z
    .enum(layoutModes)
    .optional()
    .meta({ description: 'document writes one file for each inventory, perResource one for each row, split one for each row and an index. When unset: perResource if the profile exports whole objects, else document.' }),
  content: z.enum(layoutContents).optional().meta({ description: 'What the file of a row holds: the row as item, its attributes, or the collected object as manifest.' }),
  pathTemplate: text
    .optional()
    .meta({ description: 'Path of the file of a row; {cluster}, {namespace}, {name}, {targetNamespace}, {targetName}, {sourceNamespace}, {sourceName}, {group}, {kind}, {uid}, {generation} and {extension} are replaced.' }),
  index: z
    .object({
      enabled: z.boolean().optional().meta({ description: 'Whether an index is written; true for split when unset.' }),
      pathTemplate: text.optional().meta({ description: `Path of the index; ${defaultPaths.document} when unset.` }),
    })
    .optional()
    .meta({ description: 'The list of all files.' }),
  filename: z
    .object({
      groupInPath: z.enum(['auto', 'always', 'never']).optional().meta({ description: 'Whether {group} becomes a folder; auto, which leaves out an empty group, when unset.' }),
      lowercaseKind: z.boolean().optional().meta({ description: 'Write {kind} in lower case; true when unset.' }),
      maxSegmentLength: z.number().int().min(1).optional().meta({ description: 'Characters after which the name of a file or folder is cut; 63 when unset.', format: 'int32' }),
    })
    .optional()
    .meta({ description: 'How the names of files and folders are made.' }),
});

/** Fields that every sink kind has beside its type and the blocks of its backends. */
export const sinkCommonFields = {
  endpoint: text.optional().meta({ description: 'Address of the destination, such as https://git.example.com/team/inventory.git or s3://bucket/prefix. Databases have theirs in a Secret.' }),
  secretRef: SecretReference.optional().meta({ description: 'Secret with the credentials, for types without a reference of their own.' }),
  tls: SinkTls.optional().meta({ description: 'Whom the connection trusts, and as whom it logs in.' }),
  connectionTest: z.boolean().default(true).meta({ description: 'Test the connection whenever the sink is created or changed. With false, the annotation kollect.dev/test-connection asks for one test.' }),
  cluster: text.optional().meta({ description: 'Name of this cluster in what is exported, for destinations that many clusters share.' }),
  pathTemplate: text.optional().meta({ description: 'Path of the document of an inventory; {cluster}, {namespace}, {name}, {generation} and {extension} are replaced, {namespace} and {name} are required.' }),
  exportMinInterval: Duration.optional().meta({ description: 'Time between looks at an unchanged destination, from 0s to 24h, for references without one of their own. A change never waits for it.' }),
  serialization: Serialization.optional().meta({ description: 'How rows are written.' }),
  layout: Layout.optional().meta({ description: 'Which files rows become; for the types git and gitlab.' }),
  provisioning: z
    .object({
      mode: z.enum(provisioningModes).optional().meta({ description: 'ensure creates tables, collections, indexes and streams that are missing; existing never creates or changes any. ensure when unset.' }),
      naming: z
        .object({ template: text.optional().meta({ description: 'Template of the names; reserved, it has no effect yet.' }) })
        .optional()
        .meta({ description: 'Names of what is created.' }),
    })
    .optional()
    .meta({ description: 'Whether Kollect creates what it writes to.' }),
  options: z.record(z.string(), z.string()).optional().meta({ description: 'Tuning of the backend, such as statement_timeout: "30000" for postgres. Credentials are refused.' }),
};

export const SinkStatus = z.object({
  conditions: conditionList,
  observedGeneration,
  lastProbeTime: timestamp('When the connection was last tested.'),
  preview: SinkPreview.optional().meta({ description: 'What an export would look like, rendered without the destination while the annotation kollect.dev/preview is "true".' }),
});
export type SinkStatus = z.infer<typeof SinkStatus>;
