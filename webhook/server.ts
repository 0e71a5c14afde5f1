import { fastify } from 'fastify';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { kinds } from '../shared/api/kinds.ts';
import type { WebhookMetrics } from './metrics.ts';
import { answerWithinMs, readReview, writeReview } from './protocol.ts';
import type { AdmissionRequest, AdmissionResponse } from './protocol.ts';
import type { Phase } from './reviewer.ts';

/** PEM of the certificate chain and its private key. */
export interface ServingCertificate {
  cert: string;
  key: string;
}

export interface ServerOptions {
  certificate: ServingCertificate;
  /** Never rejects: a fault is an answer, too. */
  review: (phase: Phase, request: AdmissionRequest) => AdmissionResponse | Promise<AdmissionResponse>;
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

/**
 * The admission server, ready for `listen` or `inject`. Every readable review is answered with 200 and its uid, whatever happens; what is
 * no review with 400, what is too large with 413.
 */
export function buildServer(options: ServerOptions) {
  const { review, metrics, isStopping } = options;
  const app = fastify({
    https: {
      ...options.certificate,
      ...tlsDefaults,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: 10_000,
      // How often Node looks for connections that exceed the timeouts.
      connectionsCheckingInterval: 5_000,
    },
    logger: false,
    bodyLimit: bodyLimitBytes,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: requestTimeoutMs,
    onProtoPoisoning: 'remove',
    // Nothing here is merged into other objects, so a key of this name is a key like any other.
    onConstructorPoisoning: 'ignore',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    // No route has a JSON schema. Left to its defaults, Fastify would load compilers for them, a fifth of this process.
    schemaController: { compilersFactory: { buildValidator: unused, buildSerializer: unused } },
  });
  // Counted from the first byte of a request, so idle connections do not fall under it. Node applies the smaller of the two timeouts to
  // the headers and the larger to the whole request, whatever their names say.
  app.server.headersTimeout = requestTimeoutMs;

  const answer = (phase: Phase, webhook: string) => (request: FastifyRequest, reply: FastifyReply) => {
    const started = performance.now();
    if (isStopping()) reply.header('connection', 'close');
    const read = readReview(request.body, started + answerWithinMs(request.raw.url ?? ''));
    if (typeof read === 'string') {
      metrics.badRequest(400);
      return reply.code(400).send({ message: read });
    }
    const finish = (response: AdmissionResponse) => {
      metrics.reviewed(webhook, read.operation, response.allowed, (performance.now() - started) / 1000);
      return reply.header('content-type', 'application/json').send(writeReview(response));
    };
    const response = review(phase, read);
    return response instanceof Promise ? response.then(finish) : finish(response);
  };
  for (const { kind } of kinds) {
    const name = kind.toLowerCase();
    app.post(`/mutate-kollect-dev-v1alpha1-${name}`, answer('mutate', `m${name}.kb.io`));
    app.post(`/validate-kollect-dev-v1alpha1-${name}`, answer('validate', `v${name}.kb.io`));
  }
  // A configuration of a newer version may name kinds that this one does not know: still a review, so still an answer.
  app.post('/mutate-kollect-dev-v1alpha1-:kind', answer('mutate', 'unknown'));
  app.post('/validate-kollect-dev-v1alpha1-:kind', answer('validate', 'unknown'));

  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const code = error.statusCode ?? 500;
    metrics.badRequest(code);
    return reply.code(code).send({ message: code < 500 ? error.message : 'internal error' });
  });
  return app;
}

function unused(): never {
  throw new Error('routes of this server have no schema');
}
