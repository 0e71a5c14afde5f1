import { KollectError } from '../../errors.ts';
import { hasScheme, splitUrl } from '../../net/endpoint.ts';

/** One server of a NATS cluster. */
export interface NatsServer {
  scheme: 'nats' | 'tls';
  user: string | undefined;
  host: string;
  port: number;
}

const form = 'write nats://<host>:4222, several separated by commas';

/**
 * Reads the servers of NATS, separated by commas. A host without a scheme is what clients take for `nats://`. Throws `KOL_API_ENDPOINT`.
 *
 * @example parseNatsServers('tls://a.example,b.example:4223') // [{ scheme: 'tls', host: 'a.example', port: 4222, … }, { scheme: 'nats', host: 'b.example', port: 4223, … }]
 */
export function parseNatsServers(text: string): NatsServer[] {
  return text.split(',').map((item) => {
    const server = item.trim();
    if (server === '') throw new KollectError('KOL_API_ENDPOINT', `has nothing before or behind a comma; ${form}`);
    const { scheme, user, host, port = 4222, path, query, fragment } = splitUrl(hasScheme(server) ? server : `nats://${server}`);
    if (scheme !== 'nats' && scheme !== 'tls') throw new KollectError('KOL_API_ENDPOINT', `has the scheme ${scheme}; ${form}, or tls:// for encryption`);
    if (path.replaceAll('/', '') !== '' || query !== '' || fragment !== '') throw new KollectError('KOL_API_ENDPOINT', `must have nothing behind the port; ${form}`);
    return { scheme, user, host, port };
  });
}
