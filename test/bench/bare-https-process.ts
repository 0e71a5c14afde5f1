// The least an admission server can do: parse the review and echo its uid.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [port = '0', certFile = '', keyFile = ''] = process.argv.slice(2);
createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile), keepAliveTimeout: 95_000 }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { apiVersion, kind, request: review } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { apiVersion: string; kind: string; request: { uid: string } };
    const answer = JSON.stringify({ apiVersion, kind, response: { uid: review.uid, allowed: true } });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
    response.end(answer);
  });
}).listen(Number(port), '127.0.0.1', () => console.log('listening'));
