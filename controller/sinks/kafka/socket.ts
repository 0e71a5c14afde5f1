import { isIP, Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { CheckedAddress, Dialer } from '../contract.ts';
import type { KafkaSinkSettings } from './settings.ts';

const keepAliveMs = 60_000;

/**
 * A socket to a broker, given before it connects: the client asks for one in a single turn. It dials addresses that were checked and no others; one that is refused
 * destroys it with the error of the dialer.
 */
export function dialledSocket(dialer: Dialer, { host, port }: { host: string; port: number }, tls: KafkaSinkSettings['tls']): Socket {
  const plain = new Socket();
  const dial = async (): Promise<void> => {
    const address = await dialer.resolve(host, port);
    if (!plain.destroyed) plain.connect(targetOf(address));
  };
  plain.setKeepAlive(true, keepAliveMs);
  // A message is written at once, and its answer waited for.
  plain.setNoDelay(true);
  if (tls === undefined) {
    dial().catch((error: Error) => plain.destroy(error));
    return plain;
  }
  const name = host.replace(/^\[(.*)\]$/, '$1');
  const socket = connectTls({
    socket: plain,
    host: name,
    // Names only: the protocol knows no addresses.
    ...(isIP(name) === 0 && { servername: name }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: tls.verifies,
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...tls.client,
  });
  plain.on('error', (error) => socket.destroy(error));
  socket.on('close', () => plain.destroy());
  dial().catch((error: Error) => socket.destroy(error));
  return socket;
}

/** All addresses of a name are tried. */
function targetOf({ host, others, port, servername }: CheckedAddress): TcpNetConnectOpts {
  if (others.length === 0) return { host, port };
  const addresses = [host, ...others].map((address) => ({ address, family: isIP(address) }));
  return { host: servername, port, autoSelectFamily: true, lookup: (_name, _options, found) => found(null, addresses) };
}
