import { KollectError } from '../../shared/errors.ts';

/** How much is measured. The defaults of the command line take a few minutes; a test takes as little as gives figures at all. */
export interface Scale {
  /** Largest number of Deployments. */
  rows: number;
  /** Repetitions of whatever is compared, ours and the other by turns. */
  rounds: number;
  /** Load on an admission server, a round. */
  secondsARound: number;
  /** Single changes at each size. */
  changes: number;
  /** Changes of the burst, at most as many as there are rows. */
  burst: number;
  /** How long what goes on steadily is looked at: no change at all, or changes that never end. */
  steadySeconds: number;
  /** Changes a second of those that never end. */
  changeRate: number;
  /** Deployments are made up by a generator of list pages and watch events instead of created in etcd. */
  generated?: boolean;
}

/** Goals that have a figure here. */
export const measures = ['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8', 'P9', 'P10', 'P11', 'P12'] as const;
export type Measure = (typeof measures)[number];

/** The measures of these names, in any case; all when there are none. Throws `KOL_CONFIG_FLAG` for another name. */
export function wantedMeasures(names: readonly string[]): Set<Measure> {
  const wanted = names.map((name) => {
    const measure = measures.find((known) => known === name.toUpperCase());
    if (measure === undefined) throw new KollectError('KOL_CONFIG_FLAG', `there is no measure ${JSON.stringify(name)}: name any of ${measures.join(', ')}`);
    return measure;
  });
  return new Set(names.length === 0 ? measures : wanted);
}
