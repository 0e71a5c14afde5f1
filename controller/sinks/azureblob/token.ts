import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { KollectError } from '../../../shared/errors.ts';
import { loginMs } from '../objects/object-store.ts';
import type { AzureLogin } from './settings.ts';

const Answer = z.object({ access_token: z.string(), expires_in: z.coerce.number() });
const Refusal = z.object({ error: z.string(), error_codes: z.array(z.number()).optional() });

/** Before its end by so much, a token is replaced. */
const marginMs = 5 * 60_000;

/**
 * Tokens of Microsoft Entra for a registered application, or for the workload, whose own token the webhook of Azure Workload Identity puts into a file. Asked for at the
 * authority of the environment, and never at an address of a sink.
 */
export class EntraTokens {
  readonly #login: Extract<AzureLogin, { kind: 'client' | 'workload' }>;
  #last: { token: string; expiresOnTimestamp: number } | undefined;

  constructor(login: Extract<AzureLogin, { kind: 'client' | 'workload' }>) {
    this.#login = login;
  }

  /** As the client of Azure wants it. */
  async getToken(scopes: string | string[]): Promise<{ token: string; expiresOnTimestamp: number }> {
    if (this.#last && this.#last.expiresOnTimestamp - Date.now() > marginMs) return this.#last;
    const { tenant, form } = await this.#request();
    const authority = process.env['AZURE_AUTHORITY_HOST'] || 'https://login.microsoftonline.com';
    if (!URL.canParse(authority)) throw new KollectError('KOL_SINK_AUTH', 'AZURE_AUTHORITY_HOST of the controller is no address: correct its environment');
    const body = new URLSearchParams({ ...form, grant_type: 'client_credentials', scope: [scopes].flat().join(' ') });
    let answer: Response;
    try {
      answer = await fetch(`${authority.replace(/\/+$/, '')}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`, { method: 'POST', body, redirect: 'error', signal: AbortSignal.timeout(loginMs) });
    } catch (cause) {
      throw new KollectError('KOL_SINK_UNAVAILABLE', `${new URL(authority).host}, which gives tokens for Azure, cannot be reached: look at the network on the way to it`, { cause });
    }
    const text: unknown = await answer.json().catch(() => undefined);
    if (!answer.ok) {
      const { error, error_codes: codes = [] } = Refusal.safeParse(text).data ?? { error: String(answer.status) };
      const isOurs = answer.status < 500 && answer.status !== 429;
      throw new KollectError(isOurs ? 'KOL_SINK_AUTH' : 'KOL_SINK_UNAVAILABLE', `Microsoft Entra gave no token (${[error, ...codes.map((code) => `AADSTS${code}`)].join(', ')}): correct tenant, client and secret, or the federated credential of the workload`);
    }
    const { data } = Answer.safeParse(text);
    if (!data) throw new KollectError('KOL_SINK_UNAVAILABLE', `${new URL(authority).host} answered with something that is no token: look at the network on the way to it`);
    this.#last = { token: data.access_token, expiresOnTimestamp: Date.now() + data.expires_in * 1_000 };
    return this.#last;
  }

  async #request(): Promise<{ tenant: string; form: Record<string, string> }> {
    if (this.#login.kind === 'client') {
      const { tenant, client, secret } = this.#login;
      return { tenant, form: { client_id: client, client_secret: secret } };
    }
    const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client, AZURE_FEDERATED_TOKEN_FILE: file } = process.env;
    if (!tenant || !client || !file) throw new KollectError('KOL_SINK_AUTH', 'there are no credentials: name a Secret in spec.secretRef, or give the workload an identity of Azure (azure.workload.identity/use)');
    // It is replaced there before it expires.
    let assertion: string;
    try {
      assertion = (await readFile(file, 'utf8')).trim();
    } catch (cause) {
      throw new KollectError('KOL_SINK_AUTH', `the token of the workload cannot be read (${(cause as NodeJS.ErrnoException).code}): see that Azure Workload Identity mounts AZURE_FEDERATED_TOKEN_FILE`, { cause });
    }
    return { tenant, form: { client_id: client, client_assertion: assertion, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' } };
  }
}
