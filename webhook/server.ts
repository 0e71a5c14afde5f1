import { fastify } from 'fastify';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { kinds } from '../shared/api/kinds.ts';
import { internalFault, lateFault } from './denial.ts';
import { answerJson, readJsonText } from './exchange.ts';
import type { BadRequest } from './exchange.ts';
import { readableReview } from './large-reviews.ts';
import type { WebhookMetrics } from './metrics.ts';
import { answerWithinMs, denied, readReview, writeReview } from './protocol.ts';
import type { AdmissionRequest, AdmissionResponse } from './protocol.ts';
import { RecentReviews, splitReview } from './recent-reviews.ts';
import type { Phase } from './reviewer.ts';
import { cutOffStalledClients } from './stalled-clients.ts';

/** PEM of the certificate chain and its private key. */
export interface ServingCertificate {
  cert: string;
  key: string;
  /** Authorities of clients, PEM. Given, a client needs a certificate of one of them. */
  ca?: string;
}

export interface ServerOptions {
  certificate: ServingCertificate;
  /** Never throws: a fault is an answer, too. */
  review: (phase: Phase, request: AdmissionRequest) => AdmissionResponse | Promise<AdmissionResponse>;
  /** Changes whenever anything changes that reviews look up; undefined as long as that is not known. Left out, no answer is given twice. */
  revision?: () => number | undefined;
  metrics: WebhookMetrics;
  /** Once true, every answer asks the client to take its next request elsewhere. */
  isStopping: () => boolean;
}

export type WebhookServer = ReturnType<typeof buildServer>;

/** What every TLS context of the server must have; a reloaded certificate keeps it. */
export const tlsDefaults = { minVersion: 'TLSv1.2' } as const;

/** controller-runtime's limit too: an UPDATE holds two copies of an object of up to 3 MiB. */
const bodyLimitBytes = 7 * 1024 * 1024;
/** The API server keeps idle connections for 90 s. Who closes first loses the request that is on its way. */
const keepAliveTimeoutMs = 95_000;
/** A client that trickles its request holds a connection no longer than this. */
const requestTimeoutMs = 15_000;
/** A client that takes no answer holds a connection no longer than this. Idle connections do not fall under it. */
const stalledTimeoutMs = 30_000;
/** Some hundreds of each API server. An open connection takes about 60 KB. */
const maxConnections = 1_000;

/** Of every kind of this API, and of those that a newer version may add. */
const reviewPath = /^\/(?:mutate|validate)-kollect-dev-v1alpha1-[^/?]+(?:\?|$)/;

/**
 * The admission server, ready for `listen` or `inject`. Every readable review is answered with 200 and its uid, whatever happens; what is
 * no review with 400, what is too large with 413, what does not claim to be JSON with 415.
 */
export function buildServer(options: ServerOptions) {
  const { review, metrics, isStopping, revision = () => undefined } = options;
  const app = fastify({
    https: {
      ...options.certificate,
      ...tlsDefaults,
      requestCert: options.certificate.ca !== undefined,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: 10_000,
      // How often Node looks for connections that exceed the timeouts.
      connectionsCheckingInterval: 5_000,
    },
    logger: false,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: requestTimeoutMs,
    return503OnClosing: false,
    exposeHeadRoutes: false,
    // No route has a JSON schema. Left to its defaults, Fastify would load compilers for them, a fifth of this process.
    schemaController: { compilersFactory: { buildValidator: unused, buildSerializer: unused } },
  });
  // Counted from the first byte of a request, so idle connections do not fall under it. Node applies the smaller of the two timeouts to
  // the headers and the larger to the whole request, whatever their names say.
  app.server.headersTimeout = requestTimeoutMs;
  app.server.maxConnections = maxConnections;
  app.server.on('drop', () => metrics.connectionRefused());
  cutOffStalledClients(app.server, stalledTimeoutMs);

  const parseWithCare = app.getDefaultJsonParser('remove', 'ignore');
  /** Undefined for what is no JSON. Keys of the prototype are left out; nothing here is merged into other objects, so a key named constructor is one like any other. */
  const parse = (request: FastifyRequest, text: string): unknown => {
    // Looking for such keys in all their spellings takes longer than parsing. They have either their name or an escape in them. A byte order mark needs care, too.
    if (!text.startsWith('\ufeff') && !text.includes('__proto__') && !text.includes('\\u00')) return parseJson(text);
    let body: unknown;
    void parseWithCare(request, text, (error, parsed) => {
      if (error === null) body = parsed;
    });
    return body;
  };

  /** Takes requests over from Fastify, whose way from body to answer costs as much as all the rest of a review. */
  const reviews = (phase: Phase, webhook: string) => {
    const recent = new RecentReviews(revision);
    const onRequest = (request: FastifyRequest, reply: FastifyReply): void => {
      reply.hijack();
      const refuse = ({ code, message }: BadRequest): void => {
        metrics.badRequest(code);
        // More of a body that is not read to its end may be on its way.
        answerJson(reply.raw, code, JSON.stringify({ message }), isStopping() || code !== 400);
      };
      readJsonText(request.raw, bodyLimitBytes, (text) => {
        if (typeof text !== 'string') return refuse(text);
        const started = performance.now();
        const answer = (operation: string, response: AdmissionResponse, isRepeated = false): void => {
          metrics.reviewed({ webhook, operation, code: response.status?.code ?? 200, isRepeated, seconds: (performance.now() - started) / 1000, bytes: Buffer.byteLength(text) });
          answerJson(reply.raw, 200, writeReview(response), isStopping());
        };
        const split = splitReview(text);
        const before = split && recent.recall(split);
        if (before !== undefined) return answer(before.operation, before.response, true);
        const readable = readableReview(text);
        const read = readable === undefined ? 'the body has too many values' : readReview(parse(request, readable.text), started + answerWithinMs(request.raw.url ?? ''), readable.isObjectLeftOut);
        if (typeof read === 'string') return refuse({ code: 400, message: read });
        const response = review(phase, read);
        if (response instanceof Promise) return void inTime(response, read).then((late) => answer(read.operation, late));
        if (split !== undefined) recent.remember(split, read, response);
        answer(read.operation, response);
      });
    };
    return { onRequest, handler: unused };
  };
  for (const { kind } of kinds) {
    const name = kind.toLowerCase();
    app.post(`/mutate-kollect-dev-v1alpha1-${name}`, reviews('mutate', `m${name}.kb.io`));
    app.post(`/validate-kollect-dev-v1alpha1-${name}`, reviews('validate', `v${name}.kb.io`));
  }
  // A configuration of a newer version may name kinds that this one does not know: still a review, so still an answer.
  app.post('/mutate-kollect-dev-v1alpha1-:kind', reviews('mutate', 'unknown'));
  app.post('/validate-kollect-dev-v1alpha1-:kind', reviews('validate', 'unknown'));

  // Before a body is read, which says nothing here.
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) return done();
    const code = reviewPath.test(request.url) ? 405 : 404;
    metrics.badRequest(code);
    if (code === 405) reply.header('allow', 'POST');
    void reply.code(code).send({ message: code === 405 ? 'reviews are sent by POST' : 'there is nothing here' });
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const code = error.statusCode ?? 500;
    metrics.badRequest(code);
    return reply.code(code).send({ message: code < 500 ? error.message : 'internal error' });
  });
  return app;
}

/** The answer, or a refusal at the deadline: one that comes later has nobody who waits for it. */
async function inTime(response: Promise<AdmissionResponse>, request: AdmissionRequest): Promise<AdmissionResponse> {
  const late = Promise.withResolvers<AdmissionResponse>();
  const timer = setTimeout(() => late.resolve(denied(request, lateFault(request))), request.deadline - performance.now());
  try {
    return await Promise.race([response, late.promise]);
  } catch {
    return denied(request, internalFault(request));
  } finally {
    clearTimeout(timer);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function unused(): never {
  throw new Error('reviews are taken over before this is called, and have no schema');
}
