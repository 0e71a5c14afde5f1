import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import type { ObjectStoreType } from '../../../shared/api/sinks/object-store-endpoint.ts';
import { layoutOf } from '../../../shared/layout/layout.ts';
import type { Backend, Dialer, OpenContext } from '../contract.ts';
import { previewFiles } from '../documents/preview-files.ts';
import type { BucketSettings } from './bucket-settings.ts';
import { documentLayout } from './document-layout.ts';
import { ObjectSink } from './object-sink.ts';
import type { ObjectStore } from './object-store.ts';

/** What one type of store adds to what all have. */
export interface ObjectStoreKind<Settings extends BucketSettings> {
  type: ObjectStoreType;
  readSettings(context: OpenContext<KollectSnapshotSinkSpec>): Settings;
  /** Equal for settings that can share a client. */
  settingsKey(settings: Settings): string;
  /** Loads the client. */
  connector(settings: Settings): Promise<(dialer: Dialer) => ObjectStore>;
}

export function objectBackend<Settings extends BucketSettings>({ type, readSettings, settingsKey, connector }: ObjectStoreKind<Settings>): Backend<KollectSnapshotSinkSpec> {
  return {
    type,
    family: 'snapshot',
    capabilities: { granularity: 'document', concurrency: 8 },
    // A write is refused when the object has changed, not when the same was written again.
    refusesLateWrites: () => false,
    secretRef: ({ secretRef }) => secretRef,
    destination: (context) => {
      const { title, endpoint } = readSettings(context);
      return JSON.stringify([title, endpoint.prefix, layoutOf(documentLayout(context.spec))]);
    },
    place: (context) => {
      const { title, endpoint } = readSettings(context);
      return endpoint.prefix === '' ? title : `${title}, objects ${endpoint.prefix}/…`;
    },
    server: (context) => readSettings(context).title,
    open: async (context) => {
      const settings = readSettings(context);
      const connect = await connector(settings);
      const { value: store, release } = context.shared.lease(settingsKey(settings), () => connect(context.dialer));
      return new ObjectSink(context, { store, prefix: settings.endpoint.prefix, title: settings.title, release });
    },
    preview: async (spec, sample) => {
      const { objectPath, warnings = [] } = await previewFiles(documentLayout(spec), sample);
      return { objectPath, ...(warnings.length > 0 && { warnings }) };
    },
  };
}
