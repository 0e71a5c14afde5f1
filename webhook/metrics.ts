import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface WebhookMetrics {
  registry: Registry;
  /** One answered review. Labels come from fixed sets: never a name out of an object. */
  reviewed(webhook: string, operation: string, allowed: boolean, seconds: number): void;
  /** A body that was no review, by HTTP status code. */
  badRequest(code: number): void;
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
  collectDefaultMetrics({ register: registry });
  let pending: { webhook: string; operation: string; allowed: boolean; seconds: number }[] = [];
  const drain = () => {
    const batch = pending;
    pending = [];
    for (const { webhook, operation, allowed, seconds } of batch) {
      requests.inc({ webhook, operation: operations.has(operation) ? operation : 'other', allowed: allowed ? 'true' : 'false' });
      duration.observe({ webhook }, seconds);
    }
  };
  const requests = new Counter({
    name: 'kollect_admission_requests_total',
    help: 'Admission requests answered, by webhook, operation and outcome.',
    labelNames: ['webhook', 'operation', 'allowed'],
    registers: [registry],
    // The first of the two in a scrape; the other then is up to date as well.
    collect: drain,
  });
  const duration = new Histogram({
    name: 'kollect_admission_duration_seconds',
    help: 'Time from the whole request to its answer.',
    labelNames: ['webhook'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
    registers: [registry],
  });
  const badRequests = new Counter({
    name: 'kollect_admission_bad_requests_total',
    help: 'Requests refused before they could be read as a review, by HTTP status code.',
    labelNames: ['code'],
    registers: [registry],
  });
  const expiry = new Gauge({
    name: 'kollect_webhook_cert_expiry_seconds',
    help: 'Unix time at which the serving certificate expires.',
    registers: [registry],
  });
  const reloads = new Counter({
    name: 'kollect_webhook_cert_reloads_total',
    help: 'Certificates read from disk, by result: served or refused.',
    labelNames: ['result'],
    registers: [registry],
  });
  return {
    registry,
    reviewed(webhook, operation, allowed, seconds) {
      if (pending.push({ webhook, operation, allowed, seconds }) >= batchSize) drain();
    },
    badRequest(code) {
      badRequests.inc({ code: String(code) });
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
