import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Gauge, type Registry } from 'prom-client';
import { KollectError } from '../shared/errors.ts';
import { KubeClient } from '../shared/kube/client.ts';
import { loadConnection } from '../shared/kube/config.ts';
import { EventRecorder } from '../shared/kube/events.ts';
import { LeaderElection, type LeaseTimes } from '../shared/kube/leader-election.ts';
import type { Logger } from '../shared/log.ts';
import { userAgent } from '../shared/version.ts';
import type { ControllerOptions } from './options.ts';
import { commitMs } from './sinks/runtime/deadline.ts';

const leaseName = '3274ac8a.kollect.dev';

/** What those who write need to know of the election. */
export type Leadership = Pick<LeaderElection, 'assertLeads' | 'epoch' | 'outrank'>;

/** The times that the flags give. Throws `KOL_CONFIG_FLAG` when no leader could hold a lease by them, or commit anything under it. */
export function leaseTimes(options: ControllerOptions): LeaseTimes {
  const times = { durationMs: options['leader-elect-lease-duration'], renewDeadlineMs: options['leader-elect-renew-deadline'], retryMs: options['leader-elect-retry-period'] };
  const { durationMs, renewDeadlineMs, retryMs } = times;
  const fault = (message: string): KollectError => new KollectError('KOL_CONFIG_FLAG', message);
  if (!(retryMs > 0 && retryMs < renewDeadlineMs)) throw fault('--leader-elect-retry-period must be more than 0 and less than --leader-elect-renew-deadline');
  if (renewDeadlineMs >= durationMs) throw fault('--leader-elect-renew-deadline must be less than --leader-elect-lease-duration: the leader has to stop before another one begins');
  if (durationMs - retryMs <= commitMs) {
    throw fault(`--leader-elect-lease-duration must be more than ${commitMs / 1_000}s longer than --leader-elect-retry-period: a sink may take as long to commit, and the lease must outlive that`);
  }
  return times;
}

/** The election of this process. It has connections of its own, so that no stalled watch delays a renewal. */
export async function leaderElection(options: ControllerOptions, environment: NodeJS.ProcessEnv, logger: Logger): Promise<LeaderElection> {
  const connection = await loadConnection({ kubeconfig: options.kubeconfig });
  const client = new KubeClient(connection, { userAgent: userAgent('controller/leader-election') });
  const name = environment['POD_NAME'] ?? hostname();
  return new LeaderElection({
    client,
    namespace: environment['POD_NAMESPACE'] ?? connection.namespace,
    name: leaseName,
    // One process at a time runs in a pod: when its container starts again, the former one is gone, and its lease need not run out.
    identity: `${name}_${environment['POD_UID'] ?? randomUUID()}`,
    times: leaseTimes(options),
    events: new EventRecorder({ client, component: 'kollect-controller', instance: name, logger }),
    logger,
  });
}

/** Tells in metrics whether this process leads. */
export function observeLeadership(election: LeaderElection, registry: Registry): void {
  new Gauge({
    name: 'leader_election_master_status',
    help: '1 in the process that holds the lease, 0 in those that wait for it.',
    labelNames: ['name'],
    registers: [registry],
    collect() {
      this.set({ name: leaseName }, election.isLeading ? 1 : 0);
    },
  });
}
