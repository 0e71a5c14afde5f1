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
}

/** Goals that have a figure here. */
export const measures = ['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7'] as const;
export type Measure = (typeof measures)[number];
