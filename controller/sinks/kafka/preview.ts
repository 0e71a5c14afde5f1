import type { KollectEventSinkSpec } from '../../../shared/api/kollect-event-sink.ts';
import type { BackendPreview, PreviewSample } from '../contract.ts';
import { sampleMessage } from '../documents/sample-message.ts';
import { topicMessage } from './publish.ts';
import { readTopic } from './settings.ts';
import { newTopic } from './topic.ts';

/** Where messages go, and one of them: of an inventory with one row, or of a row. */
export async function previewMessages(spec: KollectEventSinkSpec, sample: PreviewSample, isPerItem: boolean): Promise<BackendPreview> {
  const settings = readTopic(spec);
  const message = await sampleMessage(sample, isPerItem);
  const sent = message && topicMessage(sample.identity, message, sample.exportedAt);
  return {
    kafka: {
      topic: settings.topic,
      ...(!settings.mustExist && { expectedTopic: JSON.stringify(newTopic(settings)) }),
      ...(sent && { sampleKey: sent.key, sampleHeaders: Object.entries(sent.headers).map(([name, value]) => `${name}: ${String(value)}`), sampleBody: String(sent.value) }),
    },
  };
}
