import { MongoBulkWriteError, MongoServerError, type WriteError } from 'mongodb';
import { KollectError, type ErrorCode } from '../../../shared/errors.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';
import type { CollectionSettings } from './settings.ts';

/** Numbers of the server's errors, from error_codes.yml of MongoDB. */
export const codes = { badValue: 2, unauthorized: 13, authenticationFailed: 18, namespaceNotFound: 26, namespaceExists: 48, duplicateKey: 11_000 } as const;

/** What the server says of a document: it, and not the collection, is at fault. */
const ofDocuments: ReadonlySet<number> = new Set([codes.badValue, 15, 22, 52, 55, 56, 57, 121, 10_334, 11_000, 17_280, 17_419, 17_420]);

/** Of a single write; the server goes on with the others. */
export function isDocumentError({ code }: Pick<WriteError, 'code'>): boolean {
  return ofDocuments.has(code);
}

/** Number of the server's error; undefined when it is none. */
export function serverCode(error: unknown): number | undefined {
  return error instanceof MongoServerError && typeof error.code === 'number' ? error.code : undefined;
}

/** The error of the catalogue for anything that the client or the server threw. The address is not shown: it comes from a Secret. */
export function mongoError(error: unknown, names: CollectionSettings): KollectError {
  const chain = chainOf(error);
  const own = chain.find((one) => one instanceof KollectError);
  if (own) return own;
  const told = (code: ErrorCode, text: string): KollectError => new KollectError(code, text, { cause: error });
  if (error instanceof MongoServerError) {
    const code = error instanceof MongoBulkWriteError ? (writeConcernCode(error) ?? serverCode(error)) : serverCode(error);
    const meant = code === undefined ? undefined : meanings[code];
    if (meant) return told(meant[0], `${meant[1](names)} (code ${code})`);
    // What a bulk says without a number is that the connection was lost in the middle.
    if (code !== undefined) return told('KOL_SINK_UNAVAILABLE', `the server did not do what it was asked (code ${code}${error.codeName === undefined ? '' : `, ${String(error.codeName)}`})`);
  }
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return told('KOL_INTERNAL', `${error.name}: ${error.message}`);
  for (const one of chain) {
    const wrong = (one as { code?: unknown }).code === 'ERR_SSL_WRONG_VERSION_NUMBER' || (one as { code?: unknown }).code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG';
    if (wrong) return told('KOL_SINK_CONFIG', 'the server offers no TLS on this port: remove tls=true from the connection string and spec.tls, or write the port of its TLS listener');
    const tls = tlsFault(one);
    if (tls !== undefined) return told('KOL_SINK_CONFIG', tls);
    const network = networkFault(one);
    if (network !== undefined) return told('KOL_SINK_UNAVAILABLE', `the server cannot be reached, ${network}`);
  }
  const texts = chain.map(({ message }) => message).join(' ');
  if (/timed out|timeout/i.test(texts)) return told('KOL_SINK_UNAVAILABLE', 'the server does not answer: look at it, and at the network on the way to it');
  return told('KOL_SINK_UNAVAILABLE', 'the connection to the server was lost: look at its log, and whether it expects TLS');
}

/** The error, and those that it was made of. */
function chainOf(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let one = error; one instanceof Error && chain.length < 10; one = one.cause) chain.push(one);
  return chain;
}

function writeConcernCode(error: MongoBulkWriteError): number | undefined {
  return error.result.getWriteConcernError()?.code;
}

type Meaning = [ErrorCode, (names: CollectionSettings) => string];

const refusedLogin: Meaning = ['KOL_SINK_AUTH', () => 'the server refused the login: correct user, password and authSource in the Secret, or let the server know the user'];
const noPrimary: Meaning = ['KOL_SINK_UNAVAILABLE', () => 'the server takes no writes at the moment, and another one of its replica set will'];
const tooFew: Meaning = ['KOL_SINK_CONFIG', () => 'the replica set has fewer members than are to confirm a write: correct spec.options.w'];

const meanings: Readonly<Record<number, Meaning>> = {
  [codes.unauthorized]: ['KOL_SINK_AUTH', ({ title, database }) => `the user may not do that with ${title}: give it the role readWrite on database ${JSON.stringify(database)}, or find, insert, update and remove on the collection`],
  [codes.authenticationFailed]: refusedLogin,
  8_000: refusedLogin,
  [codes.namespaceNotFound]: ['KOL_SINK_SCHEMA', ({ title }) => missingText(title)],
  73: ['KOL_SINK_CONFIG', ({ title }) => `the server can have no ${title}`],
  85: ['KOL_SINK_SCHEMA', ({ title }) => `${title} has an index on these fields that differs from the one that is needed: drop that one`],
  86: ['KOL_SINK_SCHEMA', ({ title }) => `${title} has another index of this name: drop or rename that one`],
  [codes.duplicateKey]: ['KOL_SINK_SCHEMA', ({ title }) => `${title} holds documents that have the same key, so that the unique index cannot be created: remove them`],
  166: ['KOL_SINK_SCHEMA', ({ title }) => `${title} is a view, which takes no writes: name another collection`],
  50: ['KOL_SINK_BUSY', () => 'the server took too long: look at its load'],
  64: ['KOL_SINK_UNAVAILABLE', () => 'not as many servers as are to did confirm a write in time'],
  79: tooFew,
  100: tooFew,
  91: noPrimary,
  189: noPrimary,
  10_107: noPrimary,
  11_600: noPrimary,
  11_602: noPrimary,
  13_435: noPrimary,
  13_436: noPrimary,
  14_031: ['KOL_SINK_UNAVAILABLE', () => 'the disk of the server is full'],
};

export function missingText(title: string): string {
  return `${title} does not exist: create it, or set spec.provisioning.mode to ensure`;
}
