import type { S3SinkSettings } from '../s3/settings.ts';
import { objectBackend } from '../objects/object-backend.ts';
import { readSettings, settingsKey, type GcsSinkSettings } from './settings.ts';

/** Objects of a bucket of Google Cloud Storage. */
export const gcs = objectBackend({
  type: 'gcs',
  readSettings,
  settingsKey,
  // A client that is not needed is not loaded.
  connector: async (settings) => {
    const { login } = settings;
    if (login.kind === 'hmac') {
      const { S3Store } = await import('../s3/store.ts');
      return (dialer) => new S3Store(overS3(settings, login), dialer);
    }
    const { GcsStore } = await import('./store.ts');
    return (dialer) => new GcsStore(settings, dialer);
  },
});

/** By the protocol of S3 there are no conditions for writes. */
function overS3({ endpoint, title, tls, url, storageClass }: GcsSinkSettings, { accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string }): S3SinkSettings {
  return { endpoint, title, tls, url, region: 'auto', forcePathStyle: true, credentials: { accessKeyId, secretAccessKey }, storageClass, encryption: undefined, hasConditions: false };
}
