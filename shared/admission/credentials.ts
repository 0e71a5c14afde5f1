/** Anywhere in a name, these words announce a credential: letters and digits only, so that no separator hides them. */
export const secretParts = /passw(?:or)?d|passphrase|secret|token|apikey|accesskey|accountkey|sharedkey|privatekey|credential|connectionstring|authorization|accesssignature/;
/** These do so at the end: `signingKeyId` names a key, `signingKey` is one. */
export const secretEnds = /(?:signing|encryption|ssh|hmac|master|customer|client|deploy|jwt|session)keys?$|sessionid$/;
/** These do so only as a whole word: they begin other words, as in `authMechanism` or `passive`. */
export const secretWords: ReadonlySet<string> = new Set(['pass', 'pwd', 'auth', 'sas', 'dsn', 'bearer']);
/** These do so only as the last word: `session_timeout` and `cookiePath` are settings. */
export const secretLastWords: ReadonlySet<string> = new Set(['cookie', 'cookies', 'session', 'jwt', 'pat']);

/** Names of settings whose values are credentials. In the syntax that RE2 has as well. */
export const settingNames = 'passw(?:or)?d|pwd|secret|token|api_?key|access_?key|account_?key|shared_?access_?signature';
/** A setting in a text whose value is a credential, such as `password=…`, or `"password": "…"`. In any case, and in the syntax that RE2 has as well. */
export const settingShape = new RegExp(`(?:${settingNames})(?:\\s*=\\s*[^\\s;&]|["\\x27]\\s*[:=]\\s*["\\x27][^"\\x27])`, 'i');

/** Tokens that show by their form who issued them: GitHub, GitLab, Slack, AWS, Google, Stripe, Vault. In the syntax that RE2 has as well. */
export const issuedToken = /\b(?:gh[oprsu]_|github_pat_|glpat-|xox[a-z]-|sk_live_|hvs[.])[\w.-]{8,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bAIza[\w-]{30,}/;

/** These, and JSON web tokens. */
export const tokenShape = new RegExp(`${issuedToken.source}|\\beyJ[\\w-]{6,}[.][\\w.-]+`);

/** What follows the name of a scheme of `Authorization`; "basic authentication" is none. In any case, and in the syntax that RE2 has as well. */
export const loginShape = /\b(?:bearer|basic)\s+(?:[\w.~+/=-]*[\d.~+/=_]|[\w-]{16})[\w.~+/=-]*/i;

/** Addresses of chats and the like, of which the path is the credential. In any case, and in the syntax that RE2 has as well. */
export const secretAddress = /(?:hooks[.]slack[.]com\/(?:services|workflows|triggers)|discord(?:app)?[.]com\/api\/webhooks|webhook[.]office[.]com\/webhookb2|api[.]telegram[.]org\/bot|chat[.]googleapis[.]com\/v1\/spaces)[^\s?#]*/i;

/**
 * Whether a name announces a credential.
 *
 * @example isSecretLike('sasl.token') // true
 */
export function isSecretLike(name: string): boolean {
  const plain = name.normalize('NFKC').trim();
  const lower = plain.toLowerCase();
  const squeezed = lower.replaceAll(/[^a-z0-9]/g, '');
  if (secretParts.test(squeezed) || secretEnds.test(squeezed)) return true;
  const words = lower.split(/[^a-z0-9]+/).filter((word) => word !== '');
  if (words.some((word) => secretWords.has(word))) return true;
  // `dbPass` and `basicAuth` end in one; `authMechanism` and `passThrough` only begin with it.
  const lastOfCamelCase = plain.split(/(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+/).findLast((word) => word !== '')?.toLowerCase() ?? '';
  return secretWords.has(lastOfCamelCase) || secretLastWords.has(lastOfCamelCase) || secretLastWords.has(words.at(-1) ?? '');
}

/** Whether a text holds a credential: an address with a password, a key in PEM, a token or login by its form, or a setting such as `password=…`. */
export function holdsCredential(text: string): boolean {
  return text.includes('-----BEGIN ') || [settingShape, tokenShape, loginShape, secretAddress].some((shape) => shape.test(text)) || hasBasicLogin(text) || text.split(/\s+/).some((word) => isUrlWithPassword(word) || isLogin(word));
}

/** What a text would become by corrections, or `""` when it may hold a credential, which they would not hide. */
export function unlessCredential(text: string, corrected: string): string {
  return redact(text) === text ? corrected : '';
}

/** Whether a text holds a token that shows by its form. */
export function holdsToken(text: string): boolean {
  return tokenShape.test(text);
}

const basicLogin = /\bbasic\s+([\w+/-]{4,}={0,2})/gi;

/** `Basic` and `user:password` in base64; other words are not. */
export function hasBasicLogin(text: string): boolean {
  for (const [, word = ''] of text.matchAll(basicLogin)) if (/^[ -9;-~]*:[ -~]+$/.test(Buffer.from(word, 'base64').toString('latin1'))) return true;
  return false;
}

/** `scheme://user:password@`, anywhere in a word. In two steps, because one expression would try every beginning with every end. */
function isUrlWithPassword(word: string): boolean {
  const user = /:\/\/[^/@:]*:/.exec(word);
  if (user === null) return false;
  const rest = word.slice(user.index + user[0].length);
  // A port, and whatever comes behind it.
  return rest.indexOf('@') > 0 && !/^\d{1,5}[/?#]/.test(rest);
}

/** `user:password@host` and `user:password@tcp(host)`, as drivers of databases take it. An image with its digest and an address of mail look alike. */
function isLogin(word: string): boolean {
  const at = word.lastIndexOf('@');
  const before = word.slice(0, at);
  const colon = before.indexOf(':');
  if (at < 0 || colon <= 0 || colon === before.length - 1 || word.includes('://')) return false;
  return !/^sha\d+:/.test(word.slice(at + 1)) && !/^(?:mailto|acct|sip|xmpp):/i.test(before) && !before.slice(0, colon).includes('/') && !/^\d{1,5}[/?#]/.test(before.slice(colon + 1));
}

/**
 * Hides what looks like a credential inside a text: the user part of addresses, `password=…`, `--password …`, PEM blocks, tokens by their form. Hides more
 * than `holdsCredential` finds: what is hidden without need costs a reader less than what is shown.
 */
export function redact(text: string): string {
  if (text.includes('-----BEGIN ')) return '***';
  return text
    .replaceAll(/:\/\/\S*@/g, '://***@')
    .replaceAll(/(?<![^\s,;="'/:@{(])[^\s,;="'/:@{(]+:(?!\/\/)[^\s@]*@/g, '***@')
    .replaceAll(anySecretAddress, '***')
    .replaceAll(settingWithValue, '$1***')
    .replaceAll(flagWithValue, '$1***')
    .replaceAll(/\b(bearer|basic)(\s+)[\w.~+/=-]{8,}/gi, '$1$2***')
    .replaceAll(anyToken, '***');
}

const hiddenNames = `${settingNames}|passphrase|credentials?|private_?key|client_?key|signing_?key|authorization|sig|signature`;
/** In quotes or not, and in those of JSON inside JSON. A value in quotes may hold anything up to the next quote. */
const settingWithValue = new RegExp(`((?:${hiddenNames})\\\\*["']?\\s*[=:]\\s*)(?:\\\\*"[^"]*"?|\\\\*'[^']*'?|[^\\s&;,]+)`, 'gi');
/** An argument of a command: `--db-password x`, and `-px` as MySQL takes it. */
const flagWithValue = new RegExp(`((?<![\\w-])(?:--?[\\w-]*(?:${hiddenNames})[\\w-]*[\\s=]+|-p(?=\\S{3})))\\S+`, 'gi');
const anyToken = new RegExp(tokenShape.source, 'g');
const anySecretAddress = new RegExp(secretAddress.source, 'gi');
