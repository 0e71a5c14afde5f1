import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import type { Authority } from '../../certs/x509.ts';
import type { InstallationPolicy } from '../../shared/admission/policy.ts';
import { objectLookups } from '../../shared/admission/state/object-lookups.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { createLogger } from '../../shared/log.ts';
import { createMetrics } from '../../webhook/metrics.ts';
import { createReviewer } from '../../webhook/reviewer.ts';
import type { State } from '../../webhook/reviewer.ts';
import { buildServer } from '../../webhook/server.ts';
import type { ServerOptions } from '../../webhook/server.ts';

/** An answer as the API server reads it. */
export interface Answer {
  apiVersion: string;
  kind: string;
  response: {
    uid: string;
    allowed: boolean;
    status?: { status: string; code: number; reason: string; message: string; details?: { name: string; kind: string; group: string; causes: { field: string; reason: string; message: string }[] } };
    warnings?: string[];
    patchType?: string;
    patch?: string;
  };
}

/** The body that the API server sends for an object. */
export function reviewOf(object: { kind: string; metadata: Record<string, unknown> }, more: Record<string, unknown> = {}) {
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind: { group: 'kollect.dev', version: 'v1alpha1', kind: object.kind },
      name: object.metadata.name,
      namespace: object.metadata.namespace ?? '',
      operation: 'CREATE',
      userInfo: { username: 'jane', groups: ['system:authenticated'] },
      object,
      oldObject: null,
      dryRun: false,
      ...more,
    },
  };
}

export function pathOf(phase: 'validate' | 'mutate', kind: string): string {
  return `/${phase}-kollect-dev-v1alpha1-${kind.toLowerCase()}?timeout=5s`;
}

const authority = createAuthority('test authority');

/** The admission server without a socket, and the lines that it logged. */
export function testServer(installation: Partial<InstallationPolicy> = {}, { cluster = [], ...more }: Partial<ServerOptions> & { cluster?: readonly KubeObject[] | undefined } = {}) {
  const lines: Record<string, unknown>[] = [];
  const metrics = createMetrics();
  const log = createLogger({ level: 'info', format: 'json', name: 'webhook', write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const { certificate: cert, key } = issueCertificate(authority, { hosts: ['localhost'] });
  let stopping = false;
  const app = buildServer({
    certificate: { cert, key },
    metrics,
    isStopping: () => stopping,
    review: createReviewer({ log, installation: { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: false, ...installation }, state: stateOf(cluster) }),
    ...more,
  });
  return { app, lines, metrics, authority, stopping: () => void (stopping = true) };
}

/** One call without a socket, and the time of the processor that it took from the bytes to the answer. */
export async function timedReview({ app }: Pick<ReturnType<typeof testServer>, 'app'>, url: string, payload: string): Promise<{ code: number; text: string; cpuMs: number }> {
  const before = process.threadCpuUsage();
  const response = await app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, payload });
  const { user, system } = process.threadCpuUsage(before);
  return { code: response.statusCode, text: response.body, cpuMs: (user + system) / 1000 };
}

/** Objects of a cluster, known from the start. */
export function stateOf(cluster: readonly KubeObject[]): State {
  const current = objectLookups(cluster);
  return { current, known: () => Promise.resolve(current) };
}

/** A directory with a serving certificate. */
export function certificateDirectory(issuer: Authority = authority) {
  const directory = mkdtempSync(join(tmpdir(), 'kollect-webhook-'));
  const write = (pair = issueCertificate(issuer, { hosts: ['localhost', '127.0.0.1'] })) => {
    writeFileSync(join(directory, 'tls.crt'), pair.certificate);
    writeFileSync(join(directory, 'tls.key'), pair.key);
    return pair;
  };
  write();
  return { directory, authority: issuer, write, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** One call over TLS, as the API server makes it. */
export function post(options: { port: number; path: string; body: string; agent: Agent; ca: string }): Promise<{ status: number; body: string; connection: string | undefined }> {
  const { port, path, body, agent, ca } = options;
  return new Promise((resolve, reject) => {
    const call = request(
      { host: 'localhost', port, path, agent, ca, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text, connection: response.headers.connection }));
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}
