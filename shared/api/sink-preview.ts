import { z } from 'zod';
import { timestamp } from './meta.ts';

const text = (description: string) => z.string().optional().meta({ description });
const texts = (description: string) => z.array(z.string()).optional().meta({ description, 'x-kubernetes-list-type': 'atomic' });

/** What an export of made-up rows would look like. Only the part of the sink's own type is filled in. */
export const SinkPreview = z.object({
  renderedAt: timestamp('When the preview last changed.'),
  inputSampleSource: text('Where the rows come from: synthetic.'),
  provisioningMode: text('The mode in effect: ensure or existing.'),
  serializationFormat: text('The format in effect.'),
  objectPath: text('Path of the document of the inventory api in the namespace team-a.'),
  git: z
    .object({ sampleCommitSubject: text('First line of the commit.'), sampleCommitBody: text('Rest of the message of the commit.') })
    .optional()
    .meta({ description: 'For the types git and gitlab: the commit.' }),
  layout: z
    .object({
      mode: text('The mode in effect.'),
      content: text('The content in effect.'),
      prune: z.boolean().optional().meta({ description: 'Whether files that are not written any more are removed.' }),
      samplePaths: texts('Paths of the files of some rows, at most 3.'),
    })
    .optional()
    .meta({ description: 'For the types git and gitlab: the files.' }),
  postgres: z
    .object({ expectedDDL: text('The statement that creates the table.'), expectedStateDDL: text('The statement that creates the table that says who wrote, under ensure.') })
    .optional()
    .meta({ description: 'For the type postgres: the tables.' }),
  bigquery: z
    .object({ expectedDDL: text('The statement that creates the table.'), expectedMerge: text('The statement that writes all rows of an inventory.') })
    .optional()
    .meta({ description: 'For the type bigquery: the statements.' }),
  mongodb: z
    .object({ expectedIndexKeys: texts('Keys of the unique index, in order.') })
    .optional()
    .meta({ description: 'For the type mongodb: the index.' }),
  kafka: z
    .object({
      topic: text('Topic that is written to.'),
      expectedTopic: text('Settings of the topic that is created when it is missing, as JSON, under ensure; -1 is what the brokers have as default.'),
      sampleKey: text('Key of the message of a row.'),
      sampleHeaders: texts('Headers of the message of a row, as "name: value".'),
      sampleBody: text('The message of a row.'),
    })
    .optional()
    .meta({ description: 'For the type kafka: the messages.' }),
  nats: z
    .object({
      subject: text('Subject that is published to.'),
      stream: text('Stream that takes the messages.'),
      expectedStream: text('Settings of the stream that is created when it is missing, as JSON, under ensure.'),
      sampleHeaders: texts('Headers of the message of a row, as "name: value".'),
      sampleBody: text('The message of a row.'),
    })
    .optional()
    .meta({ description: 'For the type nats: the messages.' }),
  warnings: texts('What to look at before the first export.'),
});
export type SinkPreview = z.infer<typeof SinkPreview>;
