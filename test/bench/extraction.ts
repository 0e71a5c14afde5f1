import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { benchDeployment } from './deployments.ts';
import { median, type Figure } from './figures.ts';

const rounds = 9;
const objects = 20_000;

/** P5: two paths and one expression of each object. */
export async function benchExtraction(): Promise<Figure[]> {
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
  for (let round = 0; round < rounds; round++) {
    let since = performance.now();
    for (let index = 0; index < objects; index++) profile.extract(inputs[index % inputs.length]!);
    extraction.push(((performance.now() - since) / objects) * 1000);
    since = performance.now();
    for (let index = 0; index < objects; index++) JSON.parse(text);
    parsing.push(((performance.now() - since) / objects) * 1000);
  }
  const ours = median(extraction);
  return [
    {
      measure: 'P5 extraction, 2 paths + 1 expression an object',
      ours: `${ours.toFixed(2)} µs`,
      beside: `${median(parsing).toFixed(2)} µs to parse it`,
      ratio: ours / median(parsing),
      goal: '≤ 5 µs',
      met: ours <= 5,
    },
  ];
}
