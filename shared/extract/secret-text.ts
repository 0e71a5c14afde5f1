import { hasBasicLogin, issuedToken, settingNames } from '../admission/credentials.ts';

/**
 * Whether a text holds a credential that shows by its form: a private key, a token, the login of a URL or of a database driver, or a setting such as
 * `password=…`. References such as `$(PASSWORD)` are none. Takes time in proportion to the length of the text, whatever it says.
 *
 * @example isSecretText('host=db password=hunter2') // true
 */
export function isSecretText(text: string): boolean {
  if (!suspicious.test(text)) return false;
  if (text.includes('://') && (urlWithPassword.test(text) || urlWithSlashes.test(text) || urlWithToken.test(text))) return true;
  if (setting.test(text) || header.test(text) || bearer.test(text) || hasBasicLogin(text) || hasDriverLogin(text)) return true;
  return webToken.test(text) || issuedToken.test(text) || /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text);
}

/** Without any of these a text is none of what follows. Most texts have none, and one search costs less than many. */
const suspicious = /[=@]|["']\s*:|[bB](?:[eE][aA][rR]|[aA][sS][iI])|eyJ|PRIVATE KEY|gh[oprsu]_|github_pat_|glpat-|xox[a-z]-|sk_live_|hvs[.]|AKIA|ASIA|AIza/;

/** What the deployment fills in is no password: `$(NAME)`, `${NAME}`, `$NAME`, `{{ … }}`, `***`. */
const noReference = '(?!\\$[({]|\\$[A-Z_]+\\b|\\{\\{|\\*\\*\\*)';

/** A login before the host. */
const urlWithPassword = new RegExp(`://[^\\s/?#@:"'<>]*:${noReference}[^\\s/?#@"'<>]+@`);
/** The same with a password that holds what should be escaped; digits behind the colon are a port. No other URL begins within it. */
const urlWithSlashes = new RegExp(`://[^\\s/?#@:"'<>]+:(?!\\d{1,5}(?!\\w))${noReference}(?:(?!://)[^\\s@"'<>])+@`);
/** A login without a password that is no name. */
const urlWithToken = /https?:\/\/(?=[^\s/?#@:"'<>]*\d)[^\s/?#@:"'<>$]{8,}:?@/i;

/** A setting and its value, or a member of JSON in a text. */
const setting = new RegExp(
  `(?:${settingNames}|passphrase|(?:api|access|account)-key)(?:\\s*=(?!=)\\s*["']?${noReference}[^\\s;&,"'()=]|\\\\?["'](?: ?:|=)\\s*\\\\?["']${noReference}[^"'\\\\])`,
  'i',
);

const header = new RegExp(`authorization\\\\?["']?\\s*[:=]\\s*\\\\?["']?(?:bearer|basic)\\s+${noReference}[\\w.~+/-]`, 'i');
/** Words follow as well: "bearer tokens", which have no digit. */
const bearer = /\bbearer\s+(?=[^\s"']*\d)[\w.~+/-]{8,}/i;

/** Three parts of which the first is a JSON object in base64url. */
const webToken = /(?<![\w-])eyJ[\w-]{6,}\.[\w-]+\.[\w-]*/;

/** `user:password@tcp(host)`. From its end, because a beginning may be anywhere. */
function hasDriverLogin(text: string): boolean {
  let start = 0;
  for (const { index } of text.matchAll(/@(?:tcp[46]?|unix)\(/gi)) {
    const word = /\S*$/.exec(text.slice(Math.max(start, index - longestLogin), index))?.[0] ?? '';
    if (driverLogin.test(word)) return true;
    start = index + 1;
  }
  return false;
}

const longestLogin = 300;
const driverLogin = new RegExp(`[^:@]:${noReference}.`);
