import { KollectError } from '../../../shared/errors.ts';

export interface MongoHost {
  host: string;
  port: number;
}

/** What a connection string says. Parameters that are not here are not needed, or only known to other drivers. */
export interface MongoUri {
  hosts: readonly MongoHost[];
  user: string | undefined;
  password: string | undefined;
  /** Where the user is known. */
  authSource: string;
  authMechanism: (typeof authMechanisms)[number] | undefined;
  /** Undefined when the string leaves it open. */
  tls: boolean | undefined;
  w: string | undefined;
}

/** Others ask further servers for credentials, at addresses that nobody checks. */
const authMechanisms = ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'PLAIN', 'MONGODB-X509'] as const;

const defaultPort = 27_017;

/**
 * Reads a URI (`mongodb://user:password@host:27017,other:27017/?replicaSet=rs0&tls=true`). Throws `KOL_SINK_CONFIG` with a message that repeats nothing of
 * the text.
 */
export function parseUri(text: string): MongoUri {
  if (/^mongodb\+srv:/i.test(text)) throw invalid('begins with mongodb+srv://, which leads to hosts that its DNS names: write mongodb:// with these hosts, and tls=true');
  const [, userinfo, authority = '', database = '', query = ''] = /^mongodb:\/\/(?:(.*)@)?([^/?@]*)(?:\/([^?]*))?(?:\?(.*))?$/is.exec(text) ?? [];
  if (authority === '') throw invalid('is no URI that can be read: write mongodb://user:password@host:27017, with the characters of user and password percent-encoded that have a meaning in URIs, such as / # ? @ : %');
  const parameters = new Map([...new URLSearchParams(query)].map(([name, value]) => [name.toLowerCase(), value]));
  for (const file of ['tlscafile', 'tlscrlfile', 'tlscertificatekeyfile']) {
    if (parameters.has(file)) throw invalid('names a file of certificates, which does not exist here: use spec.tls.caSecretRef and spec.tls.clientCertificateSecretRef');
  }
  for (const name of ['tlsinsecure', 'tlsallowinvalidcertificates', 'tlsallowinvalidhostnames']) {
    if (parameters.get(name) === 'true') throw invalid('turns off the verification of certificates: name the authority in spec.tls, or set spec.tls.insecureSkipVerify');
  }
  const mechanism = parameters.get('authmechanism');
  const authMechanism = authMechanisms.find((known) => known === mechanism?.toUpperCase());
  if (mechanism !== undefined && authMechanism === undefined) throw invalid(`sets authMechanism to something else than ${authMechanisms.join(', ')}`);
  const colon = userinfo?.indexOf(':') ?? -1;
  const user = userinfo === undefined ? undefined : decode(colon < 0 ? userinfo : userinfo.slice(0, colon));
  return {
    hosts: authority.split(',').map(parseHost),
    user: user || undefined,
    password: userinfo === undefined || colon < 0 ? undefined : decode(userinfo.slice(colon + 1)),
    authSource: parameters.get('authsource') || (authMechanism === 'PLAIN' || authMechanism === 'MONGODB-X509' ? '$external' : decode(database) || 'admin'),
    authMechanism,
    tls: booleanOf(parameters.get('tls') ?? parameters.get('ssl')),
    w: parameters.get('w'),
  };
}

/** Reads `host:port`, as a URI or a server writes it. */
export function parseHost(text: string): MongoHost {
  const [, bracketed, plain = '', digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? decode(plain);
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === '') throw invalid('names no host, or one that cannot be read: write <host>:27017, an IPv6 address in brackets');
  if (host.startsWith('/') || host.endsWith('.sock')) throw invalid('names a socket of the local machine: write a host');
  if (port < 1 || port > 65_535) throw invalid('has a port that is not a number from 1 to 65535');
  return { host, port };
}

function booleanOf(text: string | undefined): boolean | undefined {
  if (text === undefined || text === 'true' || text === 'false') return text === undefined ? undefined : text === 'true';
  throw invalid('sets tls to something else than true or false');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('holds a percent sign that begins no percent-encoding: write it as %25');
  }
}

function invalid(problem: string): KollectError {
  return new KollectError('KOL_SINK_CONFIG', `the connection string in the Secret ${problem}`);
}
