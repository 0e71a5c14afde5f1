import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { Condition } from '../../shared/api/meta.ts';
import type { SinkStatus } from '../../shared/api/sink-common.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import type { SinkObject } from '../sinks/runtime/open-sink.ts';
import { tlsVerdicts } from './sink-prober.ts';

/** The last connection test of the sink has failed. */
export function hasFailed(status: SinkStatus | undefined): boolean {
  return status?.conditions?.some(({ type, status: holds }) => type === 'ConnectionVerified' && holds === 'False') ?? false;
}

/** For a sink that is not tested by itself, so that a failure of long ago does not stay for ever. */
export const exportedVerdict: Verdict = { type: 'ConnectionVerified', status: 'True', reason: 'ConnectionOK', message: 'an export has succeeded since the last test, which had failed' };

/** What earlier tests found stays, unless it is mended; what the spec alone decides is brought up to date. */
export function keptConditions({ metadata, spec }: KubeObject, previous: SinkStatus | undefined, mended: readonly Verdict[]): Condition[] {
  const update = (verdicts: readonly Verdict[]): Condition[] => conditionsOf(verdicts, previous?.conditions, metadata.generation, new Date().toISOString());
  const outdated = new Set(['TLSInsecure', ...(mended.length > 0 ? ['ConnectionVerified', 'Degraded'] : [])]);
  return [...update(mended), ...(previous?.conditions ?? []).filter(({ type }) => !outdated.has(type)), ...update(tlsVerdicts({ spec: spec as SinkObject['spec'] }))];
}
