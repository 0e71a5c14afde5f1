import type { KollectEventSinkSpec } from '../../api/kollect-event-sink.ts';
import type { Rule } from '../rule.ts';
import { kafkaRules } from './kafka.ts';
import { natsRules } from './nats.ts';
import { effectless, sinkRules } from './sink.ts';

export const eventSinkRules: readonly Rule<KollectEventSinkSpec>[] = [
  ...sinkRules,
  effectless('path-template-effect', 'spec.pathTemplate', 'Has no effect on events.', ({ spec }) => (spec.pathTemplate ? 'events have no paths' : undefined)),
  ...kafkaRules,
  ...natsRules,
];
