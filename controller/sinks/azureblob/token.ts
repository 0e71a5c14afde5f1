import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { KollectError } from '../../../shared/errors.ts';
import type { AzureLogin } from './settings.ts';

const Answer = z.object({ access_token: z.string(), expires_in: z.coerce.number() });
const Refusal = z.object({ error: z.string(), error_codes: z.array(z.number()).optional() });

/** Before its end by so much, a token is replaced. */
const marginMs = 5 * 60_000;
const answerMs = 10_000;

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
    const { tenant, authority = 'https://login.microsoftonline.com', form } = await this.#request();
    const body = new URLSearchParams({ ...form, grant_type: 'client_credentials', scope: [scopes].flat().join(' ') });
    let answer: Response;
    try {
      answer = await fetch(`${authority.replace(/\/+$/, '')}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`, { method: 'POST', body, redirect: 'error', signal: AbortSignal.timeout(answerMs) });
    } catch (cause) {
      throw new KollectError('KOL_SINK_UNAVAILABLE', `${new URL(authority).host}, which gives tokens for Azure, cannot be reached: look at the network on the way to it`, { cause });
    }
    const text: unknown = await answer.json().catch(() => undefined);
    if (!answer.ok) {
      const { error, error_codes: codes = [] } = Refusal.safeParse(text).data ?? { error: String(answer.status) };
      const isOurs = answer.status < 500 && answer.status !== 429;
      throw new KollectError(isOurs ? 'KOL_SINK_AUTH' : 'KOL_SINK_UNAVAILABLE', `Microsoft Entra gave no token (${[error, ...codes.map((code) => `AADSTS${code}`)].join(', ')}): correct tenant, client and secret, or the federated credential of the workload`);
    }
    const { access_token: token, expires_in: seconds } = Answer.parse(text);
    this.#last = { token, expiresOnTimestamp: Date.now() + seconds * 1_000 };
    return this.#last;
  }

  async #request(): Promise<{ tenant: string; authority?: string | undefined; form: Record<string, string> }> {
    if (this.#login.kind === 'client') {
      const { tenant, client, secret } = this.#login;
      return { tenant, form: { client_id: client, client_secret: secret } };
    }
    const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client, AZURE_FEDERATED_TOKEN_FILE: file, AZURE_AUTHORITY_HOST: authority } = process.env;
    if (!tenant || !client || !file) throw new KollectError('KOL_SINK_AUTH', 'there are no credentials: name a Secret in spec.secretRef, or give the workload an identity of Azure (azure.workload.identity/use)');
    // It is replaced there before it expires.
    const assertion = (await readFile(file, 'utf8')).trim();
    return { tenant, authority, form: { client_id: client, client_assertion: assertion, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' } };
  }
}
