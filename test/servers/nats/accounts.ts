import { nkeys } from 'nats';

/** Configuration of a server whose users log in with credentials files, and such a file of a user whose account has JetStream. */
export interface Accounts {
  config: string;
  creds: string;
}

const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
const jetStream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

/** An operator with one account and one user. */
export function createAccounts(): Accounts {
  const [operator, account, system, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount(), nkeys.createUser()];
  const accountOf = (keys: typeof account, limits: object) => signed(operator, keys.getPublicKey(), { limits: { ...unlimited, ...limits }, type: 'account' });
  const config = [
    `operator: ${signed(operator, operator.getPublicKey(), { type: 'operator' })}`,
    `system_account: ${system.getPublicKey()}`,
    'resolver: MEMORY',
    `resolver_preload { ${account.getPublicKey()}: ${accountOf(account, jetStream)}, ${system.getPublicKey()}: ${accountOf(system, {})} }`,
  ];
  const jwt = signed(account, user.getPublicKey(), { pub: {}, sub: {}, subs: -1, data: -1, payload: -1, type: 'user' });
  const seed = Buffer.from(user.getSeed()).toString();
  const creds = `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
  return { config: config.join('\n'), creds };
}

function signed(issuer: ReturnType<typeof nkeys.createOperator>, subject: string, claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = { jti: subject, iat: Math.floor(Date.now() / 1_000), iss: issuer.getPublicKey(), name: 'test', sub: subject, nats: { ...claims, version: 2 } };
  const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(payload)}`;
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
}
