/** Some 4.4 KB as the API server stores it: annotations, two containers, environment, limits. */
export function benchDeployment(index: number): object {
  const app = `d${index}`;
  const note = 'x'.repeat(180);
  const container = {
    name: 'main',
    image: `example.org/app:${index}`,
    env: Array.from({ length: 5 }, (_, number) => ({ name: `E${number}`, value: `value ${number}` })),
    resources: { limits: { cpu: '1', memory: '1Gi' } },
  };
  return {
    metadata: {
      name: app,
      labels: { app, team: `t${index % 50}`, tier: 'web' },
      annotations: Object.fromEntries(Array.from({ length: 8 }, (_, number) => [`example.org/note-${number}`, note])),
    },
    spec: {
      replicas: 1 + (index % 5),
      selector: { matchLabels: { app } },
      template: { metadata: { labels: { app } }, spec: { containers: [container, { name: 'side', image: 'envoy:1' }] } },
    },
  };
}

/** Ten attributes: seven paths, three expressions. */
export const benchAttributes = [
  { name: 'image', path: '$.spec.template.spec.containers[0].image' },
  { name: 'images', path: '$.spec.template.spec.containers[*].image' },
  { name: 'replicas', path: '$.spec.replicas' },
  { name: 'team', path: '$.metadata.labels.team' },
  { name: 'tier', path: '$.metadata.labels.tier' },
  { name: 'cpu', path: '$.spec.template.spec.containers[0].resources.limits.cpu' },
  { name: 'created', path: '$.metadata.creationTimestamp' },
  { name: 'containers', path: 'cel:size(object.spec.template.spec.containers)' },
  { name: 'available', path: 'cel:has(object.status.availableReplicas) ? object.status.availableReplicas : 0' },
  { name: 'label', path: 'cel:object.metadata.labels.team + "/" + object.metadata.name' },
];
