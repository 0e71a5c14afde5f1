import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What happens to the commit that is due, seen from the client. */
export type CommitFault =
  /** It is done, and the connection is cut in place of the answer. */
  | 'cut'
  /** It is done, and no answer comes. */
  | 'silence'
  /** It is under way until `deliver()`; the server does not hear that the client is gone. */
  | 'delay'
  /** It never arrives, and the connection is cut. */
  | 'drop';

/**
 * Stands in front of a server and breaks what a test tells it to. Knows of the protocol only how a commit looks, and how a statement of PostgreSQL
 * is cancelled: as with a pooler, only for a client that is still there.
 */
export class TcpProxy {
  readonly #target: number;
  readonly #commit: string;
  readonly #sockets = new Set<Socket>();
  readonly #clients = new Set<Socket>();
  readonly #listener = createServer((client) => this.#serve(client));
  readonly #delayed: { upstream: Socket; pieces: Buffer[] }[] = [];
  #fault: { kind: CommitFault; later: number; isLasting: boolean } | undefined;
  #frozen = false;
  /** By which clients that are connected may cancel, see `keyOf`. */
  readonly #keys = new Set<string>();
  /** New connections are cut at once. */
  refuses = false;
  /** Bytes pass in small pieces. */
  drips = false;
  /** Connections that clients have opened, and bytes that they have sent, so far. */
  connections = 0;
  sent = 0;
  /** Commits among them. */
  commits = 0;
  /** Answers of the server pass through this. */
  filter = (bytes: Buffer): Buffer => bytes;

  /** `commit`: a text that is in every message that commits and in no other. */
  constructor(target: number, commit: string) {
    this.#target = target;
    this.#commit = commit;
  }

  async start(): Promise<this> {
    this.#listener.listen(0, '127.0.0.1');
    await once(this.#listener, 'listening');
    return this;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** Breaks the next commit, or the `later`th after it; also all that follow when it is lasting, until `heal()`. */
  breakCommit(kind: CommitFault, later = 0, isLasting = false): void {
    this.#fault = { kind, later, isLasting };
  }

  heal(): void {
    this.#fault = undefined;
  }

  /** The commit to be broken has not come yet. */
  get waits(): boolean {
    return this.#fault !== undefined;
  }

  /** A commit is held back. */
  get holds(): boolean {
    return this.#delayed.length > 0;
  }

  /** Lets the server have the commits that were held back. */
  deliver(): void {
    for (const { upstream, pieces } of this.#delayed.splice(0)) {
      upstream.write(Buffer.concat(pieces));
      // Nobody waits for the answer.
      upstream.setTimeout(3_000, () => upstream.destroy());
    }
  }

  /** From now on no byte passes. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Bytes pass again, on new connections. */
  thaw(): void {
    this.#frozen = false;
    this.cut();
  }

  /** Cuts the connections of all clients, and gives their number. The server has those whose commit is held back open still. */
  cut(): number {
    const count = this.#clients.size;
    for (const client of this.#clients) client.destroy();
    return count;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#listener.close();
  }

  #serve(client: Socket): void {
    this.connections++;
    if (this.refuses) return void client.destroy();
    this.#clients.add(client);
    client.once('close', () => this.#clients.delete(client));
    const upstream = connect(this.#target, '127.0.0.1');
    const [toServer, toClient] = [upstream, client].map((socket) => writerOf(socket, () => this.drips)) as [Write, Write];
    let fault: CommitFault | undefined;
    let held: Buffer[] | undefined;
    let key: string | undefined;
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (key !== undefined) this.#keys.delete(key);
        client.destroy();
        if (fault !== 'delay') upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      this.sent += bytes.length;
      if (bytes.includes(this.#commit)) this.commits++;
      if (this.#frozen) return;
      if (held) return void held.push(bytes);
      if (bytes.length === 16 && bytes.readInt32BE(4) === cancelCode && !this.#keys.has(bytes.toString('latin1', 8))) return void client.destroy();
      if (bytes.includes(this.#commit) && this.#fault && this.#fault.later-- <= 0) {
        fault = this.#fault.kind;
        if (!this.#fault.isLasting) this.#fault = undefined;
        if (fault === 'drop') return void client.destroy();
        if (fault === 'delay') {
          held = [bytes];
          return void this.#delayed.push({ upstream, pieces: held });
        }
      }
      toServer(bytes);
    });
    upstream.on('data', (bytes) => {
      if (key === undefined && (key = keyOf(bytes)) !== undefined) this.#keys.add(key);
      if (fault === 'cut') client.destroy();
      else if (fault === undefined && !this.#frozen) toClient(this.filter(bytes));
    });
  }
}

type Write = (bytes: Buffer) => void;

/** Writes in order; small pieces, a turn of the event loop each, while it is to drip. */
function writerOf(socket: Socket, drips: () => boolean): Write {
  let last: Promise<void> | undefined;
  const drip = async (before: Promise<void> | undefined, bytes: Buffer): Promise<void> => {
    await before;
    for (let at = 0; at < bytes.length && !socket.destroyed; at += 97) {
      socket.write(bytes.subarray(at, at + 97));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return (bytes) => {
    if (!drips() && last === undefined) return void socket.write(bytes);
    const mine = drip(last, bytes).then(() => {
      if (last === mine) last = undefined;
    });
    last = mine;
  };
}

const cancelCode = 80_877_102;

/** What PostgreSQL gives at login for cancelling: process and secret, in a message that begins with K and its length. */
function keyOf(bytes: Buffer): string | undefined {
  const at = bytes.indexOf('K\0\0\0\x0c', 'latin1');
  return at < 0 ? undefined : bytes.toString('latin1', at + 5, at + 13);
}
