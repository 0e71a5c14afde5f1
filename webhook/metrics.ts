import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** An answered review, as far as metrics know of it. */
export interface ReviewFacts {
  /** Name of the webhook, which holds phase and kind. */
  webhook: string;
  operation: string;
  /** Code of a denial, 200 for an admission. */
  code: number;
  /** Whether the same review came before, and got the same answer. */
  isRepeated: boolean;
  /** From the whole request to its answer. */
  seconds: number;
  /** Of the body; 0 when unknown. */
  bytes: number;
}

/** What a review asks beyond its object: other objects of the cluster, or whether the user may do something. */
export type Lookup = 'state' | 'access';

export interface WebhookMetrics {
  registry: Registry;
  /** One answered review. Labels come from fixed sets: never a name out of an object. */
  reviewed(facts: ReviewFacts): void;
  /** A body that was no review, by HTTP status code. */
  badRequest(code: number): void;
  /** A connection above the number that is served. */
  connectionRefused(): void;
  /** A review that could not learn what it needs. */
  lookupFailed(lookup: Lookup): void;
  /** `expiresAt` of the certificate that is served now. */
  certificateServed(expiresAt: Date): void;
  /** A pair that could not be used; the one before it stays. */
  certificateRefused(): void;
}

/** Reviews are counted in batches: the client library touches more memory per observation than all of a review. */
const batchSize = 256;

const operations: ReadonlySet<string> = new Set(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']);

export function createMetrics(): WebhookMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  let pending: ReviewFacts[] = [];
  const drain = () => {
    const batch = pending;
    pending = [];
    for (const { webhook, operation, code, isRepeated, seconds, bytes } of batch) {
      requests.inc({ webhook, operation: operations.has(operation) ? operation : 'other', allowed: String(code === 200), code: String(code) });
      if (isRepeated) repeated.inc();
      duration.observe({ webhook }, seconds);
      if (bytes > 0) size.observe(bytes);
    }
  };
  const requests = new Counter({
    name: 'kollect_admission_requests_total',
    help: 'Admission requests answered, by webhook, operation and outcome. The code is that of the denial, or 200.',
    labelNames: ['webhook', 'operation', 'allowed', 'code'],
    registers,
    // The first of the three in a scrape; the others then are up to date as well.
    collect: drain,
  });
  const repeated = new Counter({
    name: 'kollect_admission_repeated_total',
    help: 'Requests that came word for word as one before, and got its answer.',
    registers,
  });
  const duration = new Histogram({
    name: 'kollect_admission_duration_seconds',
    help: 'Time from the whole request to its answer.',
    labelNames: ['webhook'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 3],
    registers,
  });
  const size = new Histogram({
    name: 'kollect_admission_request_bytes',
    help: 'Size of admission requests.',
    // To the limit of 7 MiB.
    buckets: [2048, 8192, 32_768, 131_072, 524_288, 2_097_152, 7_340_032],
    registers,
  });
  const badRequests = new Counter({
    name: 'kollect_admission_bad_requests_total',
    help: 'Requests refused before they could be read as a review, by HTTP status code.',
    labelNames: ['code'],
    registers,
  });
  const connections = new Counter({
    name: 'kollect_webhook_refused_connections_total',
    help: 'Connections closed at once because too many were open.',
    registers,
  });
  const lookups = new Counter({
    name: 'kollect_admission_lookup_failures_total',
    help: 'Reviews that could not learn what they need, by what they asked for: state (other objects) or access (rights of the user).',
    labelNames: ['lookup'],
    registers,
  });
  const expiry = new Gauge({
    name: 'kollect_webhook_cert_expiry_seconds',
    help: 'Unix time at which the serving certificate expires.',
    registers,
  });
  const reloads = new Counter({
    name: 'kollect_webhook_cert_reloads_total',
    help: 'Certificates read from disk, by result: served or refused.',
    labelNames: ['result'],
    registers,
  });
  return {
    registry,
    reviewed(facts) {
      if (pending.push(facts) >= batchSize) drain();
    },
    badRequest(code) {
      badRequests.inc({ code: String(code) });
    },
    connectionRefused() {
      connections.inc();
    },
    lookupFailed(lookup) {
      lookups.inc({ lookup });
    },
    certificateServed(expiresAt) {
      expiry.set(expiresAt.getTime() / 1000);
      reloads.inc({ result: 'served' });
    },
    certificateRefused() {
      reloads.inc({ result: 'refused' });
    },
  };
}
