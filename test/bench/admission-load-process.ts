// Sends reviews over keep-alive TLS connections for a while, in a process of its own, and prints throughput and latency.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';

const [url = '', caFile = '', bodyFile = '', seconds = '3', connections = '50'] = process.argv.slice(2);
const body = readFileSync(bodyFile);
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections), ca: readFileSync(caFile) });
const latencies: number[] = [];
const since = performance.now();
const until = since + Number(seconds) * 1000;

function review(): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = performance.now();
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const call = request(url, { method: 'POST', agent, headers }, (response) => {
      response.on('data', () => undefined);
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`HTTP ${response.statusCode}`));
        latencies.push(performance.now() - sent);
        resolve();
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

await Promise.all(
  Array.from({ length: Number(connections) }, async () => {
    while (performance.now() < until) await review();
  }),
);
const elapsed = (performance.now() - since) / 1000;
latencies.sort((a, b) => a - b);
console.log(JSON.stringify({ perSecond: latencies.length / elapsed, p99Ms: latencies[Math.floor(latencies.length * 0.99)] }));
agent.destroy();
