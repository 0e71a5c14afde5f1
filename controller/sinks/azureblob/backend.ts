import { objectBackend } from '../objects/object-backend.ts';
import { readSettings, settingsKey } from './settings.ts';

/** Blobs of a container of Azure Blob Storage. */
export const azureblob = objectBackend({
  type: 'azureblob',
  readSettings,
  settingsKey,
  connector: async (settings) => {
    const { AzureStore } = await import('./store.ts');
    return (dialer) => new AzureStore(settings, dialer);
  },
});
