import type { Mechanism, SASLOptions } from 'kafkajs';
import { KollectError } from '../../../shared/errors.ts';
import type { Login } from './settings.ts';

type Credentials = Exclude<Login, { mechanism: 'none' }>;

const mechanisms = { PLAIN: 'plain', 'SCRAM-SHA-256': 'scram-sha-256', 'SCRAM-SHA-512': 'scram-sha-512' } as const;

/** How the client logs in. */
export function saslOf(login: Credentials): SASLOptions | Mechanism {
  if (login.mechanism === 'OAUTHBEARER') return bearer(login.token);
  const { username, password } = login;
  return { mechanism: mechanisms[login.mechanism], username, password } as SASLOptions;
}

/**
 * The client's own takes the answer to a token that is refused for a welcome, and is cut off later: a server says why in a message that is empty when all is well
 * (RFC 7628, section 3.2).
 */
function bearer(token: string): Mechanism {
  const message = Buffer.from(`n,,\u0001auth=Bearer ${token}\u0001\u0001`);
  const size = Buffer.alloc(4);
  size.writeInt32BE(message.length);
  return {
    mechanism: 'OAUTHBEARER',
    authenticationProvider: ({ saslAuthenticate }) => ({
      authenticate: async () => {
        const isRefused = await saslAuthenticate({ request: { encode: () => Buffer.concat([size, message]) }, response: { decode: (answer) => answer, parse: (answer) => answer.length > size.length } });
        if (isRefused) throw new KollectError('KOL_SINK_AUTH', 'the broker refused the login with OAUTHBEARER: correct the Secret, with a token that is valid still and meant for the broker');
      },
    }),
  };
}
