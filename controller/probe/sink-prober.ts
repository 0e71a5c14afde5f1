import type { Reason } from '../../shared/api/conditions.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import { checkObject } from '../object-check.ts';
import type { Verdict } from '../observe/conditions.ts';
import type { ProbeResult } from '../sinks/contract.ts';
import { unanswered } from '../sinks/runtime/deadline.ts';
import { openSink, type OpenSinkOptions, type SinkObject } from '../sinks/runtime/open-sink.ts';

/** Budget for Secret, connection, login and questions, the same for all types. */
const probeTimeoutMs = 15_000;

export interface ProbeOptions extends Pick<OpenSinkOptions, 'sink' | 'readSecret' | 'policy' | 'mapHosts' | 'lookupAll' | 'load'> {
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
  /** It may be another one next time, without an edit of the sink or another installation. */
  isRepeatable: boolean;
  /** How long the sink took to answer, or to fail, without the look-up of its Secrets; undefined when it was not asked. */
  latencyMs: number | undefined;
}

/** Gets told of every test that came to an end. */
export interface ProbeObserver {
  probed(type: string, result: 'success' | 'failure', latencyMs: number | undefined): void;
}

/** Tests a sink as the API server has it: one that breaks a rule of admission fails without being asked, and is not counted. */
export async function probeObject(raw: KubeObject, options: Omit<ProbeOptions, 'sink'>, observer: ProbeObserver | undefined): Promise<ProbeOutcome> {
  const checked = checkObject<SinkObject>(raw.kind, raw, options.policy);
  if (!checked.object) {
    const error = new KollectError('KOL_SINK_CONFIG', checked.message);
    return { error, verdicts: failureVerdicts(error, 'InvalidSpec'), isPassing: false, isRepeatable: false, latencyMs: undefined };
  }
  const outcome = await probeSink({ ...options, sink: checked.object });
  if (!options.signal.aborted) observer?.probed(checked.object.spec.type, outcome.error === undefined ? 'success' : 'failure', outcome.latencyMs);
  return outcome;
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
  let askedAt: number | undefined;
  const latencyMs = (): number | undefined => (askedAt === undefined ? undefined : Math.round(performance.now() - askedAt));
  try {
    const { message, isPassing = false } = await withinBudget(options, timeoutMs, () => (askedAt = performance.now()));
    return { error: undefined, isPassing, isRepeatable: true, latencyMs: latencyMs(), verdicts: [{ type: 'ConnectionVerified', status: 'True', reason: 'ConnectionOK', message }, ...tls] };
  } catch (thrown) {
    const error = thrown instanceof KollectError ? thrown : new KollectError('KOL_INTERNAL', String(thrown));
    const isRepeatable = error.code !== 'KOL_SINK_NOT_IMPLEMENTED' && error.code !== 'KOL_SINK_DISABLED';
    return { error, isPassing: true, isRepeatable, latencyMs: latencyMs(), verdicts: [...failureVerdicts(error, failureReason(error)), ...tls] };
  }
}

function failureReason({ code, reason }: KollectError): Reason {
  if (reason === 'SecretResolveFailed') return reason;
  return code === 'KOL_SINK_DISABLED' ? 'ExportUnavailable' : 'ConnectionTestFailed';
}

/** Conditions of a sink whose test failed, or cannot be made. */
function failureVerdicts(error: KollectError, reason: Reason): Verdict[] {
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

async function withinBudget({ signal, ...options }: ProbeOptions, timeoutMs: number, asks: () => void): Promise<ProbeResult> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const both = AbortSignal.any([signal, timeout]);
  const late = Promise.withResolvers<never>();
  both.addEventListener('abort', () => {
    late.reject(timeout.aborted ? unanswered(timeoutMs) : new KollectError('KOL_SINK_UNAVAILABLE', 'the test was cancelled'));
  });
  // Pools are not shared: behind a long export the test would wait, and a session that is open says nothing about the credentials.
  const opening = openSink({ ...options, shared: undefined });
  const probing = opening.then(async ({ sink }) => {
    try {
      asks();
      return await sink.probe(both);
    } finally {
      await sink.close();
    }
  });
  return await Promise.race([probing, late.promise]);
}
