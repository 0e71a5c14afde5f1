import { objectBackend } from '../objects/object-backend.ts';
import { readSettings, settingsKey } from './settings.ts';

/** Objects of a bucket of S3, or of any store that speaks its protocol. */
export const s3 = objectBackend({
  type: 's3',
  readSettings,
  settingsKey,
  connector: async (settings) => {
    const { S3Store } = await import('./store.ts');
    return (dialer) => new S3Store(settings, dialer);
  },
});
