// Sends reviews over and over on keep-alive TLS connections, in a process of its own, and prints throughput and latency. It writes bytes made once,
// but for some digits, and looks only for the end of each answer: a client of Node's own costs more than the servers that it is to load.
//
// Each review has a uid of its own. Each connection has an object of its own, which it applies again and again; or, with `fresh`, a new one each time; or, with `unlike`,
// a new one with paths and CEL that no other has.
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { counterMarks } from './review.ts';

const [address = '', caFile = '', bodyFile = '', seconds = '3', connections = '50', which = 'again'] = process.argv.slice(2);
const url = new URL(address);
const body = readFileSync(bodyFile);
const head = `POST ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
const request = Buffer.concat([Buffer.from(head), body]);
const uidPlaces = [request.indexOf(counterMarks.uid)];
// In the request and in the object.
const objectPlaces = [request.indexOf(counterMarks.object), request.lastIndexOf(counterMarks.object)];
const expressionPlaces = [...request.toString('latin1').matchAll(new RegExp(counterMarks.expressions, 'g'))].map(({ index }) => index);
const digits = counterMarks.object.length;
let counter = 0;
const ca = readFileSync(caFile);
const latencies: number[] = [];

/** Sends the next review when the last was answered, until the time is over. */
function converse(until: number, object: number): Promise<void> {
  // Its own copy: what it sent last has been read when it sends next.
  const mine = Buffer.from(request);
  const count = (places: readonly number[], value: number): string => {
    const text = String(value).padStart(digits, '0');
    for (const place of places) mine.write(text, place, 'latin1');
    return text;
  };
  count(objectPlaces, object);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname, port: Number(url.port), ca }, next);
    let sent = 0;
    let uid = '';
    let text = '';
    function next(): void {
      uid = count(uidPlaces, counter++);
      if (which !== 'again') count(objectPlaces, 1_000_000 + counter);
      if (which === 'unlike') count(expressionPlaces, 1_000_000 + counter);
      sent = performance.now();
      socket.write(mine);
    }
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1];
      if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) return void socket.destroy(new Error(`unexpected answer: ${text.slice(0, 200)}`));
      if (text.length < end + 4 + Number(length)) return;
      if (!text.includes(uid)) return void socket.destroy(new Error(`the answer lacks the uid: ${text.slice(end)}`));
      text = '';
      const now = performance.now();
      latencies.push(now - sent);
      if (now < until) return next();
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', resolve);
  });
}

const since = performance.now();
await Promise.all(Array.from({ length: Number(connections) }, (_, object) => converse(since + Number(seconds) * 1000, object)));
const elapsed = (performance.now() - since) / 1000;
latencies.sort((a, b) => a - b);
console.log(JSON.stringify({ reviews: latencies.length, perSecond: latencies.length / elapsed, p99Ms: latencies[Math.floor(latencies.length * 0.99)] }));
