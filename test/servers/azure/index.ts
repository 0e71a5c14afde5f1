import { cpSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { obtainFolder } from '../cached-folder.ts';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { launchRestartable, type RestartableServer } from '../launch-restartable.ts';
import type { ObtainOptions } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { accepts } from '../ready.ts';

const Package = z.object({ dependencies: z.object({ azurite: z.string() }) });

export interface AzureOptions {
  /** PEM files; plain HTTP without them. */
  tls?: { cert: string; key: string } | undefined;
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

export interface Azure extends RestartableServer {
  port: number;
  account: string;
  /** Base64. */
  key: string;
  /** Of the account. */
  endpoint: string;
  connectionString: string;
}

/** Gives the folder of Azurite: from the cache, else installed there, apart from what Kollect itself depends on. Rejects with `ObtainError`. */
export function obtainAzurite(options: ObtainOptions = {}): Promise<string> {
  const { azurite } = Package.parse(JSON.parse(readFileSync(join(import.meta.dirname, 'package.json'), 'utf8'))).dependencies;
  return obtainFolder(
    {
      name: `azurite-${azurite}`,
      origin: 'the npm registry',
      fill: async (folder, run, scratch) => {
        for (const file of ['package.json', 'package-lock.json']) cpSync(join(import.meta.dirname, file), join(scratch, file));
        await run('npm', ['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--omit=optional'], { cwd: scratch });
        renameSync(join(scratch, 'node_modules'), join(folder, 'node_modules'));
      },
    },
    options,
  );
}

/**
 * Starts a server of Azure Blob Storage on 127.0.0.1 with one account, with its data in a temporary folder; obtains it first when it is missing.
 *
 * @example
 * const azure = await startAzure();
 * t.teardown(() => azure.stop());
 * const service = BlobServiceClient.fromConnectionString(azure.connectionString);
 */
export async function startAzure(options: AzureOptions = {}): Promise<Azure> {
  const folder = await obtainAzurite({ report: options.report });
  const account = 'kollect';
  const key = Buffer.from('a key of thirty-two bytes or more').toString('base64');
  const secured = options.tls === undefined ? [] : ['--cert', options.tls.cert, '--key', options.tls.key];
  const { value: port, ...server } = await launchRestartable({
    keeper: options.keeper,
    prepare: async (keeper) => {
      const port = await freePort();
      const data = join(keeper.folder, `azure-${port}`);
      mkdirSync(data);
      const served = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', data, '--silent', '--skipApiVersionCheck', '--disableTelemetry', ...secured];
      const args = [join(folder, 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js'), ...served];
      return { start: { name: 'azure', command: process.execPath, args, env: { ...process.env, NODE_OPTIONS: '', AZURITE_ACCOUNTS: `${account}:${key}` } }, check: () => accepts(port), value: port };
    },
  });
  const endpoint = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/${account}`;
  const connectionString = `DefaultEndpointsProtocol=${endpoint.split(':')[0]};AccountName=${account};AccountKey=${key};BlobEndpoint=${endpoint};`;
  return { port, account, key, endpoint, connectionString, ...server };
}
