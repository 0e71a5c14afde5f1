import { everyFieldVectors } from './every-field.ts';
import { inventoryVectors } from './inventories.ts';
import { profileVectors } from './profiles.ts';
import { scopeVectors } from './scopes.ts';
import { sinkVectors } from './sinks.ts';
import { stateVectors } from './state.ts';
import { targetVectors } from './targets.ts';
import type { Vector } from './vector.ts';

/** Every vector: what admission has to say about which object. */
export const allVectors: readonly Vector[] = [...profileVectors, ...targetVectors, ...inventoryVectors, ...scopeVectors, ...sinkVectors, ...stateVectors, ...everyFieldVectors];
