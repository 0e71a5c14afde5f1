import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { WatchedObjects } from './lookups.ts';

/** Metrics of what reviews look up. The result counts one SubjectAccessReview. */
export function registerStateMetrics(registry: Registry, watched: WatchedObjects): { asked: (result: 'allowed' | 'denied' | 'failed') => void } {
  const registers = [registry];
  const age = new Gauge({
    name: 'kollect_admission_state_age_seconds',
    help: 'How old the known state of a resource is: 0 while its watch runs, else the time since the watch was lost.',
    labelNames: ['resource'],
    registers,
    collect() {
      for (const { resource, seconds } of watched.ages()) age.set({ resource }, seconds);
    },
  });
  const reviews = new Counter({
    name: 'kollect_admission_access_reviews_total',
    help: 'SubjectAccessReviews made, by result: allowed, denied or failed. Remembered answers do not count.',
    labelNames: ['result'],
    registers,
  });
  return { asked: (result) => reviews.inc({ result }) };
}
