import { once } from 'node:events';
import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { KollectError } from '../../../shared/errors.ts';
import type { CheckedAddress } from '../contract.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';
import type { GitSinkSettings } from './settings.ts';

const timeoutMs = 5_000;

/**
 * Why there is no connection to a server of HTTP or HTTPS, and what to do: git and its libraries hardly tell. Undefined when that is not known, or there is one.
 */
export async function handshakeFault(address: CheckedAddress, { endpoint, tls, title }: GitSinkSettings, signal: AbortSignal): Promise<KollectError | undefined> {
  const { host, port, servername } = address;
  const isTls = endpoint.scheme === 'https';
  const { ca, verifies, client } = tls;
  const named = isIP(servername) === 0 ? { servername } : {};
  const socket = isTls ? connectTls({ host, port, ...named, minVersion: 'TLSv1.2', rejectUnauthorized: verifies, ...(ca === undefined ? {} : { ca }), ...client }) : connect({ host, port });
  try {
    await once(socket, isTls ? 'secureConnect' : 'connect', { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
    return undefined;
  } catch (error) {
    const [ofTls, ofNetwork] = [tlsFault(error), networkFault(error)];
    if (ofTls !== undefined) return new KollectError('KOL_SINK_CONFIG', `${ofTls} (${title})`);
    return ofNetwork === undefined ? undefined : new KollectError('KOL_SINK_UNAVAILABLE', `the server cannot be reached, ${ofNetwork} (${title})`);
  } finally {
    socket.destroy();
  }
}
