import { databaseSinkVectors } from './database-sinks.ts';
import { eventSinkVectors } from './event-sinks.ts';
import { sinkCommonVectors } from './sink-common.ts';
import { sinkEndpointVectors } from './sink-endpoints.ts';
import { snapshotSinkVectors } from './snapshot-sinks.ts';
import type { Vector } from './vector.ts';

/** Sinks of all three families. */
export const sinkVectors: readonly Vector[] = [...sinkCommonVectors, ...snapshotSinkVectors, ...eventSinkVectors, ...databaseSinkVectors, ...sinkEndpointVectors];
