import type { Server, TLSSocket } from 'node:tls';

/** How often connections are looked at before one counts as stalled: looks, unlike clocks, stand still while the process does. */
const looks = 6;

/**
 * Cuts off clients that take no answer for `timeoutMs`; they would hold their connections for ever. Idle connections do not fall under it. It looks at all
 * connections now and then: a timer for each costs a tenth of a review, since every byte sets it anew.
 */
export function cutOffStalledClients(server: Server, timeoutMs: number): void {
  const connections = new Map<TLSSocket, { taken: number; looks: number }>();
  server.on('secureConnection', (socket) => {
    connections.set(socket, { taken: 0, looks: 0 });
    socket.once('close', () => connections.delete(socket));
  });
  const timer = setInterval(() => {
    for (const [socket, last] of connections) {
      const taken = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength === 0 || taken !== last.taken) Object.assign(last, { taken, looks: 0 });
      else if (++last.looks >= looks) socket.destroy();
    }
  }, timeoutMs / looks).unref();
  server.once('close', () => clearInterval(timer));
}
