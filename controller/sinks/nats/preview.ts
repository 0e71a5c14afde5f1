import type { KollectEventSinkSpec } from '../../../shared/api/kollect-event-sink.ts';
import type { BackendPreview, PreviewSample } from '../contract.ts';
import { sampleMessage } from '../documents/sample-message.ts';
import { fieldsOf } from './publish.ts';
import { readStream } from './settings.ts';
import { newStream } from './stream.ts';

/** Where messages go, and one of them: of an inventory with one row, or of a row. */
export async function previewMessages(spec: KollectEventSinkSpec, sample: PreviewSample, isPerItem: boolean): Promise<BackendPreview> {
  const settings = readStream(spec);
  const { subject, stream, mustExist } = settings;
  const message = await sampleMessage(sample, isPerItem);
  const fields = message && fieldsOf(settings, message);
  return {
    nats: {
      subject,
      stream,
      ...(!mustExist && { expectedStream: JSON.stringify(newStream(settings)) }),
      ...(message && fields && { sampleHeaders: fields.keys().map((name) => `${name}: ${fields.get(name)}`), sampleBody: Buffer.from(message.body).toString() }),
    },
  };
}
