import type { WebhookServer } from './server.ts';

/** What a machine without IPv6 says to its address. */
const noIpv6: ReadonlySet<string | undefined> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);

/** Listens on all addresses of the machine, IPv6 and IPv4; where there is no IPv6, on those of IPv4. */
export async function listenOnAll(app: Pick<WebhookServer, 'listen'>, port: number): Promise<void> {
  try {
    await app.listen({ port, host: '::' });
  } catch (error) {
    if (!noIpv6.has((error as NodeJS.ErrnoException).code)) throw error;
    await app.listen({ port, host: '0.0.0.0' });
  }
}
