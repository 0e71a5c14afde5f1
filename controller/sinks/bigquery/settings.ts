import { z } from 'zod';
import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import { bigqueryKeyFile, type bigqueryOptions } from '../../../shared/api/sinks/bigquery.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';

export interface TableName {
  project: string;
  dataset: string;
  table: string;
  /** In quotes, for SQL. */
  sql: string;
  /** For messages. */
  title: string;
}

/** What of a key is used. Everything else that a key file may hold, such as where to send it for a token, is not. */
export interface ServiceAccount {
  client_email: string;
  private_key: string;
}

export interface ResolvedSettings {
  table: TableName;
  /** Of jobs; that of the dataset when unset. */
  location: string | undefined;
  mode: 'ensure' | 'existing';
  /** Unset: the identity of this process. */
  account: ServiceAccount | undefined;
  maximumBytesBilled: string | undefined;
  /** Of jobs. */
  labels: Readonly<Record<string, string>>;
}

/** Where the API is, whatever a sink says: its credentials go nowhere else. */
export const apiOrigin = 'https://bigquery.googleapis.com';

const KeyFile = z.object({ type: z.literal('service_account'), client_email: z.string().min(1), private_key: z.string().includes('PRIVATE KEY') });

/** Reads spec and Secret. Throws `KOL_SINK_SECRET_KEY` and `KOL_SINK_CONFIG`. */
export function readSettings({ spec, secrets }: OpenContext<KollectDatabaseSinkSpec>): ResolvedSettings {
  return {
    table: tableName(spec),
    location: spec.bigquery?.location?.trim() || undefined,
    mode: modeOf(spec),
    account: spec.bigquery?.secretRef === undefined ? undefined : parseKey(secrets.require(bigqueryKeyFile)),
    maximumBytesBilled: wholeNumber(option(spec, 'maximumBytesBilled')),
    labels: parseLabels(option(spec, 'labels')),
  };
}

export function tableName({ bigquery }: KollectDatabaseSinkSpec): TableName {
  const [project, dataset, table] = [bigquery?.project.trim() ?? '', bigquery?.dataset.trim() ?? '', bigquery?.table.trim() ?? ''];
  for (const [field, name] of Object.entries({ project, dataset, table })) {
    if (name === '') throw new KollectError('KOL_SINK_CONFIG', `spec.bigquery.${field} is empty: name it`);
    // Quotes of SQL end there, and a path of the API does at a slash.
    if (/[`\\/\p{Cc}]/u.test(name)) throw new KollectError('KOL_SINK_CONFIG', `spec.bigquery.${field} has a character that no name has: correct it`);
  }
  return { project, dataset, table, sql: quoted(project, dataset, table), title: `table ${project}.${dataset}.${table}` };
}

export function quoted(...names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join('.');
}

export function modeOf(spec: KollectDatabaseSinkSpec): ResolvedSettings['mode'] {
  return spec.provisioning?.mode ?? 'ensure';
}

/** Only keys of service accounts: other credentials would have this process read files or run programs that the author of the Secret names. */
function parseKey(text: string): ServiceAccount {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KollectError('KOL_SINK_CONFIG', `${bigqueryKeyFile} in the Secret is not JSON: put the key file of a service account there as it is`);
  }
  const { data } = KeyFile.safeParse(value);
  if (data === undefined) throw new KollectError('KOL_SINK_CONFIG', `${bigqueryKeyFile} in the Secret is not the key file of a service account, with type, client_email and private_key: create a key and put its file there as it is`);
  return { client_email: data.client_email, private_key: data.private_key };
}

function option({ options }: KollectDatabaseSinkSpec, name: (typeof bigqueryOptions)[number]): string | undefined {
  return options?.[name]?.trim() || undefined;
}

function wholeNumber(text: string | undefined): string | undefined {
  if (text !== undefined && !/^[1-9]\d{0,17}$/.test(text)) throw new KollectError('KOL_SINK_CONFIG', 'spec.options.maximumBytesBilled is not a whole number of bytes, such as "1000000000"');
  return text;
}

/** `team=data,env=prod`. */
function parseLabels(text: string | undefined): Record<string, string> {
  const pairs = text === undefined ? [] : text.split(',').map((pair) => pair.trim().split('='));
  const form = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u;
  if (pairs.length > 64 || pairs.some(([name = '', value = '', ...rest]) => rest.length > 0 || !/^[\p{Ll}\p{Lo}]/u.test(name) || !form.test(name) || !form.test(value))) {
    throw new KollectError('KOL_SINK_CONFIG', 'spec.options.labels is not a list of labels in lower case, such as "team=data,env=prod"');
  }
  return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value]));
}
