import { maxConditionMessage, type Condition } from '../../shared/api/meta.ts';
import { cutToBytes } from '../../shared/cut.ts';

/** A condition as a controller decides it; times and generations are filled in. */
export interface Verdict {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
}

/**
 * The condition list after a set of verdicts. A condition keeps the time of its last change of status, and those that nobody judges
 * any more go. A message that the API server would refuse for its length is cut.
 */
export function conditionsOf(
  verdicts: readonly Verdict[],
  previous: readonly Condition[] | undefined,
  generation: number | undefined,
  now: string,
): Condition[] {
  return verdicts.map(({ type, status, reason, message }) => {
    const before = previous?.find((condition) => condition.type === type);
    return {
      type,
      status,
      reason,
      message: cutToBytes(message, maxConditionMessage),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
    };
  });
}
