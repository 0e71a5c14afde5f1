import { KollectError, type ErrorCode } from '../../../shared/errors.ts';
import type { GitSinkSettings } from './settings.ts';

/** What a failed run of git over the network means. Only terms of git, ssh and curl decide; what the server says in its own words is quoted, and comes to the sanitizer. */
export function remoteError(stderr: string, { title, branch }: GitSinkSettings): KollectError {
  for (const [pattern, code, text] of meanings) {
    if (!pattern.test(stderr)) continue;
    const said = wordsOfServer(stderr) || (/\[remote rejected\][^(\n]*\(([^)\n]*)\)/.exec(stderr)?.[1] ?? '');
    return new KollectError(code, `${text.replace('{branch}', JSON.stringify(branch))} (${title})${said === '' ? '' : `: ${said}`}`);
  }
  return new KollectError('KOL_SINK_UNAVAILABLE', `git failed at ${title}: ${wordsOfServer(stderr) || lastLine(stderr)}`);
}

const notGitText = 'what answers there is no server of git that can be pushed to: correct spec.endpoint';

/** The error of a server that answers, and is none of git. */
export function notGit({ title }: GitSinkSettings): KollectError {
  return new KollectError('KOL_SINK_CONFIG', `${notGitText} (${title})`);
}

/** Whether a run may have failed because the mirror is damaged: it says so, or nothing that is known of servers. */
export function mayBeOfMirror(stderr: string): boolean {
  return mirrorFaults.test(stderr) || !meanings.some(([pattern]) => pattern.test(stderr));
}

const mirrorFaults = /not a git repository|bad (?:object|tree|config)|corrupt|inflate|object file|packfile|unable to (?:read|parse|mmap)|pack-objects died/;

/**
 * The branch holds something else than what the push was built upon: by what we saw before it, or by what the server met. Of the latter it says in its report that it
 * could not update the branch, and beside it why.
 */
export function lostRace(text: string): boolean {
  const [, why] = /\[remote rejected\][^(\n]*\(([^\n]*)\)/.exec(text) ?? [];
  if (why === undefined) return /\[rejected\]|non-fast-forward|fetch first|stale info/.test(text);
  return serversRace.test(why) || (why === 'failed to update ref' && serversRace.test(text));
}

const serversRace = /cannot lock ref|failed to lock|reference already exists|incorrect old value/;

/** There was no connection, or none to be trusted. */
export function isOfConnection(text: string): boolean {
  return /SSL|TLS|certificate|Failed to connect|Could not connect|Connection refused/i.test(text);
}

export function branchMissing(stderr: string): boolean {
  return /couldn't find remote ref/i.test(stderr);
}

/** The first that fits. */
const meanings: readonly [RegExp, ErrorCode, string][] = [
  [/protected branch|\[remote rejected\][^\n]*(?:protected|not allowed to push)|GH006|GL-HOOK-ERR[^\n]*protected/i, 'KOL_SINK_REFUSED', 'the branch {branch} is protected: let the user of the sink push to it, or name another branch'],
  [/hook declined/, 'KOL_SINK_REFUSED', 'a hook of the server declined the push'],
  [/deny updating a hidden ref|denied by|unpacker error|object (?:too large|exceeds)|\[remote rejected\]/i, 'KOL_SINK_REFUSED', 'the server refused the push'],
  [/Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No \S+ host key is known/, 'KOL_SINK_CONFIG', 'the host key of the server is not among the known_hosts of the Secret: add the line that ssh-keyscan gives, once it is verified'],
  [/Load key|error in libcrypto/i, 'KOL_SINK_AUTH', 'the private key of the Secret cannot be read: put one without a passphrase into it'],
  [/Permission denied \(|could not read Username|could not read Password|terminal prompts disabled|Authentication failed|invalid credentials|returned error: 401|HTTP 401/i, 'KOL_SINK_AUTH', 'the server refused the login: correct the Secret'],
  [/access denied|returned error: 403|HTTP 403/i, 'KOL_SINK_AUTH', 'the server does not let the user do this: grant the right to push, or correct the Secret'],
  [/repository '[^']*' not found|returned error: 404|does not appear to be a git repository|Repository not found|not exported/i, 'KOL_SINK_AUTH', 'there is no such repository, or the user may not see it: correct spec.endpoint, or grant access'],
  [/returned error: 30\d|unable to update url base from redirection|redirect/i, 'KOL_SINK_CONFIG', 'the server redirects to another address, which is not followed: write the final address into spec.endpoint'],
  [/SSL certificate problem|server certificate verification failed|certificate verify failed|no alternative certificate subject name|does not match target host/i, 'KOL_SINK_CONFIG', 'the certificate of the server is not trusted, has expired, or is for another host: correct spec.tls or the certificate'],
  [/error setting certificate|unable to set private key|could not load PEM client certificate/i, 'KOL_SINK_CONFIG', 'the certificate of spec.tls cannot be used: put certificate and key in PEM into its Secret'],
  [/no DAV locking|git-http-push|dumb http|not valid: is this a git repository/i, 'KOL_SINK_CONFIG', notGitText],
  [/HTTP\/0\.9/, 'KOL_SINK_CONFIG', 'what answers there does not speak HTTP: correct host and port'],
  [/SSL|TLS|gnutls/, 'KOL_SINK_UNAVAILABLE', 'TLS could not be set up: see whether the server speaks TLS at this port'],
  [/mismatched algorithms/, 'KOL_SINK_CONFIG', 'the repository names its objects by SHA-256, which is not supported'],
  [/option .*is not supported|does not support push options|receiving end does not support/, 'KOL_SINK_CONFIG', 'the server takes no push options: remove spec.options.pushOptions'],
  [/returned error: 429/, 'KOL_SINK_UNAVAILABLE', 'the server limits how often it is asked: look at its limits'],
  [/Connection refused/, 'KOL_SINK_UNAVAILABLE', 'nothing listens there: correct host and port, or start the server'],
  [/timed out|Operation too slow|No route to host|Network is unreachable|Failed to connect|Could not resolve/i, 'KOL_SINK_UNAVAILABLE', 'the server cannot be reached: look at it, and at the network on the way to it'],
  [/hung up|early EOF|Empty reply|reset by peer|Broken pipe|unexpected disconnect|RPC failed|curl 18|Connection closed|returned error: 5\d\d/i, 'KOL_SINK_UNAVAILABLE', 'the connection to the server was lost: see whether host and port are right, and look at its log'],
];

/** Lines that the server sent for people, such as why a hook declined. */
function wordsOfServer(stderr: string): string {
  return [...stderr.matchAll(/^remote: *(.*?)\s*$/gm)].flatMap(([, line = '']) => (line === '' ? [] : [line])).slice(-5).join(' ');
}

function lastLine(stderr: string): string {
  return stderr.trim().split('\n').at(-1) ?? '';
}
