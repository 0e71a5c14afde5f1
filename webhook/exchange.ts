import type { IncomingMessage, ServerResponse } from 'node:http';

/** What is wrong with a request, as a status code and for people. */
export interface BadRequest {
  code: number;
  message: string;
}

/**
 * Gives the text of a JSON body once it is whole, or what is wrong with it as soon as that is known. A client that leaves in between gets no answer,
 * and `done` no call.
 */
export function readJsonText(request: IncomingMessage, limitBytes: number, done: (text: string | BadRequest) => void): void {
  const { headers } = request;
  if (!/^application\/json *(?:;|$)/i.test(headers['content-type'] ?? '')) return done({ code: 415, message: 'reviews are sent as application/json' });
  if (!/^(?:identity)?$/i.test(headers['content-encoding'] ?? '')) return done({ code: 415, message: 'reviews are sent without an encoding' });
  const tooLarge = { code: 413, message: `a review has at most ${limitBytes} bytes` };
  if (Number(headers['content-length'] ?? 0) > limitBytes) return done(tooLarge);
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    if (bytes > limitBytes) return;
    bytes += chunk.length;
    if (bytes > limitBytes) done(tooLarge);
    else chunks.push(chunk);
  });
  request.on('end', () => {
    if (bytes <= limitBytes) done((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8'));
  });
}

/** Sends a whole answer of JSON; `last` tells the client to take its next request to another connection. */
export function answerJson(response: ServerResponse, code: number, text: string, last: boolean): void {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  response.writeHead(code, last ? { ...headers, connection: 'close' } : headers);
  response.end(text);
}
