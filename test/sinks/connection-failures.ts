import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { createAuthority, issueCertificate, type IssuedCertificate } from '../../certs/x509.ts';
import { probeSink, type ProbeOutcome } from '../../controller/probe/sink-prober.ts';
import type { SinkObject } from '../../controller/sinks/runtime/open-sink.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { eventually } from '../servers/eventually.ts';
import { freePort } from '../servers/free-port.ts';
import { canary, signal } from './conformance.ts';

/** The name by which every sink knows its server. Nobody can resolve it but the test. */
export const host = 'sink.example.com';

export interface Address {
  host: string;
  port: number;
}

type Secret = Record<string, string>;

/** Something that is wrong, and how it is mended. */
export interface Fault {
  what: string;
  /** Of a sink that meets it; those of the place when unset. */
  spec?: ((at: Address) => object) | undefined;
  secret?: ((at: Address) => Secret) | undefined;
  code: ErrorCode;
  says: RegExp;
  occur?(): Promise<unknown> | void;
  /** Absent where nothing is mended but the sink. */
  mend?(): Promise<unknown> | void;
}

/** A backend at a real server, to be broken in every way that people meet. */
export interface FailurePlace {
  name: string;
  kind: string;
  /** Of the server on 127.0.0.1. */
  port: number;
  /** Of a sink that leads there, and trusts `authority`. */
  spec(at: Address): SinkObject['spec'];
  secret(at: Address): Secret;
  /** Credentials that the server does not let in. */
  wrong(at: Address): Secret;
  /** Has the server show another certificate; absent where the protocol knows none. */
  show?(pair: IssuedCertificate): Promise<unknown> | void;
  faults: readonly Fault[];
  /** How an answer begins that never ends. */
  beginning: string;
  /** What is said of a server that speaks something else; that TLS could not be set up when unset. */
  stranger?: Pick<Fault, 'code' | 'says'>;
}

/** What a try changes. */
interface Try extends Partial<Address>, Pick<Fault, 'spec' | 'secret'> {
  addresses?: () => Promise<readonly string[]>;
  timeoutMs?: number;
}

/** Of all servers. */
export const authority = createAuthority('authority of the sinks');
/** For `spec.tls` of sinks. */
export const caBundle = Buffer.from(authority.certificate).toString('base64');
const good = issueCertificate(authority, { hosts: [host] });
const tlsFaults: readonly [what: string, pair: IssuedCertificate, says: RegExp][] = [
  ['a certificate of an authority that nobody knows', issueCertificate(createAuthority('somebody else'), { hosts: [host] }), /comes from an authority that is not trusted .*: name that authority in spec\.tls/],
  // Half an hour ago, of the hour that it was valid.
  ['a certificate that has expired', issueCertificate(authority, { hosts: [host], days: -0.02 }), /certificate of the server has expired .*: renew it/],
  ['a certificate for another host', issueCertificate(authority, { hosts: ['other.example.com'] }), /certificate of the server is for another host .*: write a host that it names/],
];

const noTls = { code: 'KOL_SINK_CONFIG', says: /TLS could not be set up .*: see whether the server speaks TLS at this port/ } as const;

/** Long enough for any probe here that is answered at all. */
const hangMs = 15_000;
/** For servers that never answer. */
const silenceMs = 3_000;
/** Of a server that writes without end. Systems alone take some MiB before anybody reads them. */
export const floodBytes = 16 * 2 ** 20;

/** Each cause of a failed connection has a text of its own that says what to do, shows nothing secret, comes in time, and is gone when the cause is. */
export function failsWell(place: FailurePlace): void {
  const probe = async ({ port = place.port, host: name = host, spec, secret = place.secret, addresses = async () => ['127.0.0.1'], timeoutMs = hangMs }: Try = {}): Promise<ProbeOutcome> => {
    const at = { host: name, port };
    const data = Object.fromEntries(Object.entries(secret(at)).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
    return await probeSink({
      sink: { kind: place.kind, metadata: { name: 'sink', namespace: 'team-a' }, spec: { ...place.spec(at), ...spec?.(at) } },
      readSecret: async () => ({ metadata: { resourceVersion: '1' }, data }),
      policy: { allowPrivate: true, allowLoopback: true },
      lookupAll: addresses,
      timeoutMs,
      signal,
    });
  };
  /** Servers take a while to hear of changes. */
  const probeUntil = async (change: Try, isThere: (outcome: ProbeOutcome) => boolean): Promise<ProbeOutcome> => {
    let outcome = await probe(change);
    for (const since = performance.now(); !isThere(outcome) && performance.now() - since < hangMs; outcome = await probe(change)) await pause(100);
    return outcome;
  };

  t.test(`${place.name}: what keeps it from being reached, or from letting us in`, async (t) => {
    const servers: Silence[] = [];
    t.teardown(() => servers.forEach(end));
    const fails = async (what: string, change: Try, code: ErrorCode, says: RegExp): Promise<void> => {
      const { error, verdicts } = await probeUntil(change, (outcome) => says.test(outcome.error?.message ?? ''));
      t.match(error, { code, message: says }, what);
      const verdict = { reason: 'ConnectionTestFailed', message: error?.message };
      t.match(verdicts, [{ type: 'ConnectionVerified', status: 'False', ...verdict }, { type: 'Degraded', status: 'True', ...verdict }], what);
      for (const value of secretsOf(place)) t.notOk(JSON.stringify([verdicts, error?.message, error?.stack]).includes(value), `${what}: shows no secret`);
    };
    const succeeds = async (what: string, change: Try = {}): Promise<void> => {
      const { verdicts } = await probeUntil(change, ({ error }) => error === undefined);
      t.match(verdicts, [{ type: 'ConnectionVerified', status: 'True', reason: 'ConnectionOK' }], what);
      t.equal(verdicts.length, 1, what);
    };

    await place.show?.(good);
    await succeeds('nothing is wrong');

    // They only wait, and so all at once.
    const slow = (['silence', 'drip'] as const).map(async (kind) => {
      const server = await silence(kind, place.beginning);
      servers.push(server);
      const { error } = await probe({ port: server.port, timeoutMs: silenceMs });
      return { kind, server, error };
    });

    const unknown = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
    await fails('a name that nobody knows', { addresses: () => Promise.reject(unknown) }, 'KOL_SINK_UNAVAILABLE', /cannot be resolved \(ENOTFOUND\): correct the name, or look at the DNS/);
    await fails('a metadata address', { addresses: async () => ['169.254.169.254'] }, 'KOL_SINK_ADDRESS', /is refused: .*metadata service: point the sink to another host/);
    await fails('a metadata address among others', { addresses: async () => ['127.0.0.1', 'fd00:ec2::254'] }, 'KOL_SINK_ADDRESS', /is refused: .*: point the sink to another host/);

    // What is dialled is what was judged: whoever looked the name up by himself would find nothing, and whoever asks once more is judged once more.
    const asked: string[] = [];
    const rebinding = async (): Promise<string[]> => {
      asked.push(host);
      return [asked.length === 1 ? '127.0.0.1' : '169.254.169.254'];
    };
    const { error: first } = await probe({ addresses: rebinding });
    if (asked.length === 1) t.equal(first, undefined, 'the answer that was judged is dialled');
    else t.match(first, { code: 'KOL_SINK_ADDRESS' }, 'whoever dials again is judged again');
    await fails('a name that leads elsewhere when it is asked again', { addresses: rebinding }, 'KOL_SINK_ADDRESS', /metadata service/);

    const port = await freePort();
    await fails('a port where nobody listens', { port }, 'KOL_SINK_UNAVAILABLE', /nothing listens there.*: correct host and port, or start the server/);
    servers.push(await forward(port, place.port));
    await succeeds('somebody listens there now', { port });

    const other = await strangerOf(place);
    servers.push(other);
    const { code, says } = place.stranger ?? noTls;
    await fails('a server of something else', { port: other.port }, code, says);

    const torrent = await flood(place.beginning);
    servers.push(torrent);
    const { error: tired } = await probe({ port: torrent.port });
    t.ok(tired, 'a server that writes without end');
    t.notMatch(tired?.message, /has not answered|does not answer/, 'is not heard to the end of the time');
    t.ok(torrent.taken() < floodBytes, `of which ${torrent.taken()} bytes are taken`);

    await fails('credentials that the server does not know', { secret: place.wrong }, 'KOL_SINK_AUTH', /refused the login.*: correct /);
    await succeeds('credentials that it knows');

    if (place.show) {
      for (const [what, pair, says] of tlsFaults) {
        await place.show(pair);
        await fails(what, {}, 'KOL_SINK_CONFIG', says);
      }
      await place.show(good);
      await succeeds('the certificate is in order');
    }
    for (const { what, spec, secret, code, says, occur, mend } of place.faults) {
      await occur?.();
      await fails(what, { spec, secret }, code, says);
      if (!mend) continue;
      await mend();
      await succeeds(`${what} no more`, { spec, secret });
    }

    for (const { kind, server, error } of await Promise.all(slow)) {
      t.match(error, { code: 'KOL_SINK_UNAVAILABLE', message: 'the sink has not answered within 3 s: look at the server, and at the network on the way to it' }, kind);
      await eventually(() => server.sockets.size === 0, { what: `${kind}: the end of all connections` });
    }
  });
}

/** Values long enough to be told from ordinary words. */
function secretsOf({ secret, wrong }: FailurePlace): string[] {
  const at = { host, port: 1 };
  return [canary, ...[secret(at), wrong(at)].flatMap(Object.values).filter((text: string) => text.length > 20).map((text: string) => JSON.stringify(text).slice(1, -1))];
}

export interface Silence {
  port: number;
  sockets: Set<Socket>;
  server: Server;
}

/** Takes connections and says nothing, or something that does not end. */
async function silence(kind: 'silence' | 'drip', beginning: string): Promise<Silence> {
  return await listening((socket) => {
    if (kind === 'silence') return;
    let at = 0;
    const timer = setInterval(() => socket.write(Buffer.of(at < beginning.length ? beginning.charCodeAt(at++) : 0x20)), 50);
    socket.once('close', () => clearInterval(timer));
  });
}

/** Writes as much as anybody takes, and counts what most was taken on one connection. */
export async function flood(beginning: string): Promise<Silence & { taken(): number }> {
  let most = 0;
  const chunk = Buffer.alloc(2 ** 16, 'x');
  const server = await listening((socket) => {
    let taken = 0;
    const write = (): void => void socket.write(chunk, (error) => {
      if (error) return;
      taken += chunk.length;
      most = Math.max(most, taken);
      write();
    });
    socket.write(beginning, 'latin1', write);
  });
  return { ...server, taken: () => most };
}

/** Says something that nobody here understands, and ends. */
async function strangerOf({ beginning }: FailurePlace): Promise<Silence> {
  return await listening((socket) => void socket.end(beginning.startsWith('SSH') ? 'HTTP/1.1 400 Bad Request\r\n\r\n' : 'SSH-2.0-OpenSSH_9.2\r\n'));
}

async function forward(port: number, to: number): Promise<Silence> {
  return await listening((socket) => {
    const other = connect(to, '127.0.0.1').on('error', () => socket.destroy());
    socket.once('close', () => other.destroy());
    socket.pipe(other).pipe(socket);
  }, port);
}

export async function listening(serve: (socket: Socket) => void, port = 0): Promise<Silence> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    socket.resume();
    serve(socket);
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, sockets, server };
}

export function end({ server, sockets }: Silence): void {
  for (const socket of sockets) socket.destroy();
  server.close();
}
