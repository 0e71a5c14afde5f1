import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A replica behind a balancer. */
export interface Replica {
  port: number;
  healthPort: number;
}

/**
 * What a Service is to its pods: new connections go in turn to the replicas that were ready when they were last asked; those that exist stay
 * where they are.
 */
export async function startBalancer(intervalMs = 100) {
  const replicas = new Set<Replica>();
  const connections = new Set<Socket>();
  let ready: Replica[] = [];
  let turn = 0;

  const server = createServer((client) => {
    const replica = ready[turn++ % ready.length];
    if (replica === undefined) return void client.destroy();
    const upstream = connect(replica.port, '127.0.0.1');
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      connections.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        connections.delete(from);
        to.destroySoon();
      });
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const isReady = async ({ healthPort }: Replica) => (await fetch(`http://127.0.0.1:${healthPort}/readyz`).catch(() => undefined))?.ok === true;
  const ask = async () => {
    const all = [...replicas];
    const answers = await Promise.all(all.map(isReady));
    ready = all.filter((replica, index) => answers[index] && replicas.has(replica));
  };
  const asking = setInterval(() => void ask(), intervalMs);
  return {
    port: (server.address() as AddressInfo).port,
    add: (replica: Replica) => void replicas.add(replica),
    remove: (replica: Replica) => void replicas.delete(replica),
    /** Whether new connections may go there. */
    leadsTo: (replica: Replica) => ready.includes(replica),
    stop: () => {
      clearInterval(asking);
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}
