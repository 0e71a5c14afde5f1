import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { benchDeployment } from './deployments.ts';
import { median, ratioOf, type Figure } from './figures.ts';
import type { Scale } from './scale.ts';

const objects = 20_000;

/** P5: two paths and one expression of each object, beside parsing it. */
export function benchExtraction({ rounds }: Scale): Figure[] {
  const profile = compileProfile({
    spec: {
      targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' },
      attributes: [
        { name: 'image', path: '$.spec.template.spec.containers[0].image' },
        { name: 'replicas', path: '$.spec.replicas' },
        { name: 'available', path: 'cel:has(object.status) && has(object.status.availableReplicas) ? object.status.availableReplicas : 0' },
      ],
    },
  });
  const inputs = Array.from({ length: 200 }, (_, index) => JSON.parse(JSON.stringify(benchDeployment(index))) as Parameters<typeof profile.extract>[0]);
  const text = JSON.stringify(inputs[0]);
  const extraction: number[] = [];
  const parsing: number[] = [];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    extraction[round] = microsecondsOf((index) => profile.extract(inputs[index % inputs.length]!));
    parsing[round] = microsecondsOf(() => JSON.parse(text) as unknown);
  }
  const [ours, others] = [extraction.slice(1), parsing.slice(1)];
  return [
    {
      measure: 'P5 extraction, 2 paths + 1 expression an object',
      ours: `${median(ours).toFixed(2)} µs`,
      beside: `${median(others).toFixed(2)} µs to parse it`,
      ...ratioOf(ours, others),
      goal: '≤ 5 µs',
      met: median(ours) <= 5,
    },
  ];
}

function microsecondsOf(work: (index: number) => unknown): number {
  const since = performance.now();
  for (let index = 0; index < objects; index++) work(index);
  return ((performance.now() - since) / objects) * 1000;
}
