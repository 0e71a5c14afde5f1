import { spawn } from 'node:child_process';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

export interface HttpBackendOptions {
  /** Folder with the repositories. */
  root: string;
  user: string;
  password: string;
  /** Who owns the repositories; this process when unset. */
  owner: { uid: number; gid: number } | undefined;
  /** Called for each request before it is looked at, and may hold it up; true: it was answered. */
  intercept?: ((request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>) | undefined;
}

/** Serves the repositories below a folder by git's own CGI program, to who knows the password. */
export function httpBackend(options: HttpBackendOptions): RequestListener {
  const { root, user, password, owner } = options;
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return async (request, response) => {
    if (await options.intercept?.(request, response)) return;
    // Whoever asked may have gone.
    if (response.destroyed) return;
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('who are you?\n');
      return;
    }
    const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
    const child = spawn('git', ['http-backend'], {
      ...owner,
      // With it, what it starts.
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: decodeURIComponent(pathname),
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'],
        CONTENT_LENGTH: request.headers['content-length'],
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
        GIT_PROTOCOL: request.headers['git-protocol']?.toString(),
        REMOTE_USER: user,
      },
    });
    child.once('error', () => response.destroy());
    child.stdin.on('error', () => undefined);
    request.pipe(child.stdin);
    response.once('close', () => {
      if (child.exitCode === null && child.pid !== undefined) kill(child.pid);
    });
    // An answer without its end tells the client that this was not all.
    child.once('close', (code) => (code === 0 ? response.end() : response.destroy()));
    passOn(child.stdout, response);
  };
}

function kill(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Headers as CGI has them, then the body. */
function passOn(output: NodeJS.ReadableStream, response: ServerResponse): void {
  let head: Buffer | undefined = Buffer.alloc(0);
  output.on('data', (bytes: Buffer) => {
    if (head === undefined) return void response.write(bytes);
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', value = ''] = line.split(/:\s*/, 2);
      if (name.toLowerCase() === 'status') response.statusCode = Number(value.split(' ')[0]);
      else response.setHeader(name, value);
    }
    if (head.length > end + 4) response.write(head.subarray(end + 4));
    else response.flushHeaders();
    head = undefined;
  });
}
