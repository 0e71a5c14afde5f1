import { once } from 'node:events';
import { Agent as HttpAgent, type ClientRequestArgs } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { connect, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { KollectError } from '../../../shared/errors.ts';
import type { Dialer } from '../contract.ts';

export interface AgentTls {
  /** PEM; the authorities of the system when unset. */
  ca: string | undefined;
  verifies: boolean;
  client: { cert: string; key: string } | undefined;
}

/** For clients that speak HTTP by `node:http`. To be destroyed when they are closed. */
export interface GuardedAgents {
  http: HttpAgent;
  https: HttpsAgent;
}

/** To connect to one address. */
const connectMs = 5_000;

/**
 * Agents whose connections go to addresses that were checked, anew for each connection. Proxies of the environment are not used, and redirects are up to the client, which
 * comes here for those too.
 *
 * @param maxSockets connections to a server
 */
export function guardedAgents(dialer: Dialer, { ca, verifies, client }: AgentTls, maxSockets: number): GuardedAgents {
  const pool = { keepAlive: true, maxSockets };
  const https = new GuardedHttpsAgent({ ...pool, ...(ca !== undefined && { ca }), rejectUnauthorized: verifies, ...client, minVersion: 'TLSv1.2' });
  https.dialer = dialer;
  const http = new GuardedHttpAgent(pool);
  http.dialer = dialer;
  return { http, https };
}

type Created = (error: Error | null, stream: Duplex) => void;

class GuardedHttpAgent extends HttpAgent {
  dialer!: Dialer;
  readonly #over = new AbortController();

  override createConnection(options: ClientRequestArgs, created: Created): undefined {
    hand(dial(this.dialer, options, 80, this.#over.signal), created, this.#over.signal);
  }

  override destroy(): void {
    this.#over.abort();
    super.destroy();
  }
}

class GuardedHttpsAgent extends HttpsAgent {
  dialer!: Dialer;
  readonly #over = new AbortController();

  override createConnection(options: RequestOptions, created: Created): undefined {
    const secured = async (): Promise<Socket> => {
      const socket = await dial(this.dialer, options, 443, this.#over.signal);
      const host = hostOf(options);
      // Names are verified, and so are addresses; only names are told.
      const secure = connectTls({ ...this.options, socket, host, ...(isIP(host) === 0 && { servername: host }) });
      await opened(secure, 'secureConnect', this.#over.signal);
      return secure;
    };
    hand(secured(), created, this.#over.signal);
  }

  override destroy(): void {
    this.#over.abort();
    super.destroy();
  }
}

/** @param over aborts when the agent is destroyed, which closes what it has by then, and nothing that comes later */
function hand(socket: Promise<Socket>, created: Created, over: AbortSignal): void {
  // Without a socket there is none to hand over.
  const fail = created as (error: Error) => void;
  socket.then(
    (open) => {
      if (!over.aborted) return created(null, open);
      open.destroy();
      fail(ended());
    },
    (error: unknown) => fail(error as Error),
  );
}

function ended(): KollectError {
  return new KollectError('KOL_SINK_UNAVAILABLE', 'the connection was given up');
}

async function dial(dialer: Dialer, options: ClientRequestArgs, defaultPort: number, over: AbortSignal): Promise<Socket> {
  const { host, port, others } = await dialer.resolve(hostOf(options), Number(options.port ?? defaultPort));
  let last: unknown;
  for (const address of [host, ...others]) {
    if (over.aborted) throw ended();
    const socket = connect({ host: address, port, noDelay: true });
    try {
      await opened(socket, 'connect', over);
      return socket;
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/** Rejects when it did not come about in time, and leaves nothing open then. */
async function opened(socket: Socket, event: 'connect' | 'secureConnect', over: AbortSignal): Promise<void> {
  try {
    await once(socket, event, { signal: AbortSignal.any([over, AbortSignal.timeout(connectMs)]) });
  } catch (error) {
    socket.destroy();
    if (over.aborted) throw ended();
    throw error instanceof Error && error.name === 'AbortError' ? new KollectError('KOL_SINK_UNAVAILABLE', `the server cannot be reached (no connection within ${connectMs / 1_000} s)`) : error;
  }
}

function hostOf({ host, hostname }: ClientRequestArgs): string {
  return (hostname ?? host ?? '').replace(/^\[(.*)\]$/, '$1');
}
