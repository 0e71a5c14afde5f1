import { ErrorCode as NatsCode, NatsError } from 'nats';
import { KollectError, type ErrorCode } from '../../../shared/errors.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';
import type { NatsSinkSettings } from './settings.ts';

type Names = Pick<NatsSinkSettings, 'title' | 'stream' | 'subject' | 'mustExist'>;

/** Numbers of JetStream's answers, from errors.json of its server. */
export const answers = {
  notEnabled: 10_076,
  notEnabledForAccount: 10_039,
  streamNotFound: 10_059,
  streamMismatch: 10_056,
  otherStream: 10_060,
  nameInUse: 10_058,
  subjectsOverlap: 10_065,
} as const;

/** Of an answer of JetStream, such as 10059; undefined when the error is none. */
export function answerOf(error: unknown): number | undefined {
  return error instanceof NatsError ? error.api_error?.err_code : undefined;
}

/** Nobody takes messages on the subject, or another stream does than before. */
export function isStreamGone(error: unknown): boolean {
  const answer = answerOf(error);
  if (answer !== undefined) return answer === answers.streamNotFound || answer === answers.otherStream;
  return error instanceof NatsError && error.code === NatsCode.NoResponders;
}

/** The error of the catalogue for anything that the client or the server threw. */
export function natsError(error: unknown, names: Names): KollectError {
  if (error instanceof KollectError) return error;
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return new KollectError('KOL_INTERNAL', `${error.name}: ${error.message}`, { cause: error });
  const answer = answerOf(error);
  if (answer !== undefined) return answerError(error as NatsError, answer, names);
  const { title } = names;
  if (error instanceof NatsError) {
    const meant = meanings[error.code];
    if (meant) return new KollectError(meant[0], `${meant[1](names)} (${title})`, { cause: error });
    if (error.code === NatsCode.PermissionsViolation) return permissionError(error, names);
  }
  const cause = error instanceof NatsError ? (error.chainedError ?? error) : error;
  const tls = tlsFault(cause);
  if (tls !== undefined) return new KollectError('KOL_SINK_CONFIG', `${tls} (${title})`, { cause: error });
  const network = networkFault(cause);
  if (network !== undefined) return new KollectError('KOL_SINK_UNAVAILABLE', `the server cannot be reached, ${network} (${title})`, { cause: error });
  const text = error instanceof Error ? error.message : String(error);
  if (/certificate required|bad certificate|handshake failure/i.test(text)) return new KollectError('KOL_SINK_AUTH', `the server asks for a client certificate, or does not take ours: correct spec.tls.clientCertificateSecretRef (${title})`, { cause: error });
  return new KollectError('KOL_SINK_UNAVAILABLE', `the connection to the server failed${text === '' ? '' : ` (${text})`}: see whether it is NATS that listens there, and look at its log (${title})`, { cause: error });
}

const refusedLogin = (): string => 'the server refused the login: correct the Secret, or let the server know the user';

/** Codes of the client. */
const meanings: Readonly<Record<string, [ErrorCode, (names: Names) => string]>> = {
  [NatsCode.AuthorizationViolation]: ['KOL_SINK_AUTH', refusedLogin],
  [NatsCode.BadAuthentication]: ['KOL_SINK_AUTH', refusedLogin],
  [NatsCode.AuthenticationExpired]: ['KOL_SINK_AUTH', () => 'the credentials have expired: put new ones into the Secret'],
  [NatsCode.AccountExpired]: ['KOL_SINK_AUTH', () => 'the account has expired: renew it'],
  [NatsCode.AuthenticationTimeout]: ['KOL_SINK_UNAVAILABLE', () => 'the server did not come to check the login in time: look at its load'],
  [NatsCode.ConnectionRefused]: ['KOL_SINK_UNAVAILABLE', () => 'nothing listens there: correct host and port, or start the server'],
  [NatsCode.Timeout]: ['KOL_SINK_UNAVAILABLE', () => 'the server does not answer: see whether it is NATS that listens there, and look at the network on the way to it'],
  [NatsCode.ConnectionClosed]: ['KOL_SINK_UNAVAILABLE', () => 'the connection to the server was lost: look at its log'],
  [NatsCode.ConnectionDraining]: ['KOL_SINK_UNAVAILABLE', () => 'the connection to the server is being closed'],
  [NatsCode.Disconnect]: ['KOL_SINK_UNAVAILABLE', () => 'the connection to the server was lost: look at its log'],
  [NatsCode.NoResponders]: ['KOL_SINK_SCHEMA', ({ subject, stream }) => `nobody answers for stream ${quoted(stream)} and subject ${quoted(subject)}: turn JetStream on for the account, and see that the stream is there`],
  [NatsCode.ServerOptionNotAvailable]: ['KOL_SINK_CONFIG', () => 'the server offers no TLS, which the address or spec.tls asks for: turn it on at the server, or write nats:// and no spec.tls'],
  [NatsCode.MaxPayloadExceeded]: ['KOL_SINK_BUSY', () => 'the server takes smaller messages than it did before'],
};

/** Names the subject, so that it can be granted. */
function permissionError(error: NatsError, { title }: Names): KollectError {
  const { operation, subject } = error.permissionContext ?? { operation: 'publish', subject: 'the subject' };
  const verb = operation === 'subscription' ? 'subscribe to' : 'publish to';
  const wish = subject.startsWith('_INBOX') ? '_INBOX.>, where answers come' : subject;
  return new KollectError('KOL_SINK_AUTH', `the user may not ${verb} ${subject}: let it ${verb} ${wish} (${title})`, { cause: error });
}

function answerError(error: NatsError, answer: number, names: Names): KollectError {
  const { stream, subject, title } = names;
  const meant = ofAnswers[answer];
  const description = error.api_error?.description ?? '';
  if (meant) return new KollectError(meant[0], `${meant[1](names)} (${title}, JetStream ${answer})`, { cause: error });
  // 503: JetStream or its storage is not there now.
  const code: ErrorCode = (error.api_error?.code ?? 0) >= 500 ? 'KOL_SINK_UNAVAILABLE' : 'KOL_SINK_REFUSED';
  return new KollectError(code, `JetStream refused a message or the stream ${quoted(stream)} for ${quoted(subject)}: ${description} (${title}, JetStream ${answer})`, { cause: error });
}

const noJetStream = (): string => 'JetStream is not enabled for the account of the user: enable it at the server';
const fullAccount = (): string => 'the account has no room for a stream, or for more of it: raise its limits, or remove streams';

const ofAnswers: Readonly<Record<number, [ErrorCode, (names: Names) => string]>> = {
  [answers.notEnabled]: ['KOL_SINK_CONFIG', noJetStream],
  [answers.notEnabledForAccount]: ['KOL_SINK_CONFIG', noJetStream],
  [answers.streamNotFound]: ['KOL_SINK_SCHEMA', ({ stream }) => missingStreamText(stream)],
  [answers.otherStream]: ['KOL_SINK_SCHEMA', ({ stream, subject }) => `another stream than ${quoted(stream)} takes subject ${quoted(subject)}: name that one in spec.nats.stream, or another subject`],
  [answers.subjectsOverlap]: ['KOL_SINK_SCHEMA', ({ stream, subject }) => `stream ${quoted(stream)} cannot be created for subject ${quoted(subject)}, which another stream takes: name that one in spec.nats.stream, or another subject`],
  // Limits of messages or bytes, with `discard: new`; or the disk.
  10_077: ['KOL_SINK_UNAVAILABLE', ({ stream }) => fullStreamText(stream)],
  10_047: ['KOL_SINK_UNAVAILABLE', fullAccount],
  10_028: ['KOL_SINK_CONFIG', fullAccount],
  10_002: ['KOL_SINK_CONFIG', fullAccount],
  10_027: ['KOL_SINK_CONFIG', fullAccount],
  10_122: ['KOL_SINK_CONFIG', fullAccount],
  10_023: ['KOL_SINK_UNAVAILABLE', () => 'the server lacks resources for JetStream'],
  10_074: ['KOL_SINK_CONFIG', () => 'the server is no cluster, and keeps one replica only: correct spec.options.replicas'],
  10_005: ['KOL_SINK_CONFIG', () => 'the cluster has too few servers for so many replicas: correct spec.options.replicas'],
  10_109: ['KOL_SINK_SCHEMA', ({ stream }) => `stream ${quoted(stream)} is sealed, and takes no messages: name another one`],
  // Of a cluster that is looking for a leader.
  10_008: ['KOL_SINK_UNAVAILABLE', () => 'JetStream is not available at the moment'],
};

export function fullStreamText(stream: string): string {
  return `stream ${quoted(stream)} is full, or cannot be stored: raise its limits, or let it discard old messages`;
}

export function missingStreamText(stream: string): string {
  return `stream ${quoted(stream)} does not exist: create it, or set spec.provisioning.mode to ensure`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
