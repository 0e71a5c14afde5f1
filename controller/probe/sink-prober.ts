import { KollectError } from '../../shared/errors.ts';
import type { Verdict } from '../observe/conditions.ts';
import type { ProbeResult } from '../sinks/contract.ts';
import { openSink, type OpenSinkOptions, type SinkObject } from '../sinks/runtime/open-sink.ts';

/** Budget for Secret, connection, login and questions, the same for all types. */
const probeTimeoutMs = 15_000;

export interface ProbeOptions extends Pick<OpenSinkOptions, 'sink' | 'readSecret' | 'policy' | 'mapHosts' | 'load'> {
  signal: AbortSignal;
  /** 15 s when unset. */
  timeoutMs?: number | undefined;
}

export interface ProbeOutcome {
  error: KollectError | undefined;
  /** The whole condition list of the sink. */
  verdicts: Verdict[];
  /** An export that succeeds tells otherwise, or soon will. */
  isPassing: boolean;
}

/**
 * Tests a sink as an export would use it, with a login of its own, and writes nothing to it. Never throws: a failure is a verdict.
 *
 * @example
 * const { verdicts } = await probeSink({ sink, readSecret, policy, mapHosts, signal });
 * // [{ type: 'ConnectionVerified', status: 'True', reason: 'ConnectionOK', message: 'PostgreSQL 18.1, …' }]
 */
export async function probeSink(options: ProbeOptions): Promise<ProbeOutcome> {
  const { sink, timeoutMs = probeTimeoutMs } = options;
  const tls = tlsVerdicts(sink);
  try {
    const { message, isPassing = false } = await withinBudget(options, timeoutMs);
    return { error: undefined, isPassing, verdicts: [{ type: 'ConnectionVerified', status: 'True', reason: 'ConnectionOK', message }, ...tls] };
  } catch (thrown) {
    const error = thrown instanceof KollectError ? thrown : new KollectError('KOL_INTERNAL', String(thrown));
    return { error, isPassing: true, verdicts: [...failureVerdicts(error), ...tls] };
  }
}

/** Conditions of a sink whose test failed, or cannot be made. */
export function failureVerdicts(error: KollectError): Verdict[] {
  const reason = error.reason === 'SecretResolveFailed' ? 'SecretResolveFailed' : 'ConnectionTestFailed';
  return [
    { type: 'ConnectionVerified', status: 'False', reason, message: error.message },
    { type: 'Degraded', status: 'True', reason, message: error.message },
  ];
}

/** Says that a sink does not verify its server; follows the spec, whatever a test found. */
export function tlsVerdicts({ spec }: Pick<SinkObject, 'spec'>): Verdict[] {
  if (spec.tls?.insecureSkipVerify !== true) return [];
  const message = 'spec.tls.insecureSkipVerify is true: whoever answers at the address is trusted, and sees the credentials';
  return [{ type: 'TLSInsecure', status: 'True', reason: 'InsecureSkipVerify', message }];
}

async function withinBudget({ signal, ...options }: ProbeOptions, timeoutMs: number): Promise<ProbeResult> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const both = AbortSignal.any([signal, timeout]);
  const late = Promise.withResolvers<never>();
  both.addEventListener('abort', () => {
    late.reject(new KollectError('KOL_SINK_UNAVAILABLE', timeout.aborted ? `the sink has not answered within ${timeoutMs / 1000} s` : 'the test was cancelled'));
  });
  // Pools are not shared: behind a long export the test would wait, and a session that is open says nothing about the credentials.
  const opening = openSink({ ...options, shared: undefined });
  const probing = opening.then(async ({ sink }) => {
    try {
      return await sink.probe(both);
    } finally {
      await sink.close();
    }
  });
  return await Promise.race([probing, late.promise]);
}
