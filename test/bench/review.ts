/** Digits in the uid of the review, in the name of its object and in all of its expressions, for a client that counts them up. */
export const counterMarks = { uid: '11111111', object: '22222222', expressions: '33333333' } as const;

const vary = counterMarks.expressions;

/** A review of a profile, some 2 KB as the API server sends it. */
export function review(): object {
  const profile = {
    apiVersion: 'kollect.dev/v1alpha1',
    kind: 'KollectProfile',
    metadata: { name: `deployments-${counterMarks.object}`, namespace: 'default', uid: '0d9a4c1f-52cd-4a0e-8a53-8b7e1a907b02', generation: 1, annotations: { note: 'x'.repeat(300) } },
    spec: {
      targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' },
      attributes: [
        { name: 'image', path: `$.spec.template.spec.containers[0].image${vary}` },
        { name: 'images', path: `$.spec.template.spec.containers[*].image${vary}` },
        { name: 'replicas', path: `$.spec.replicas${vary}`, type: 'int' },
        { name: 'tier', path: `$.metadata.labels.tier${vary}`, optional: true },
        { name: 'available', path: `cel:has(object.status.replicas${vary}) ? object.status.replicas${vary} : 0` },
      ],
    },
  };
  const kind = { group: 'kollect.dev', version: 'v1alpha1', kind: 'KollectProfile' };
  const resource = { group: 'kollect.dev', version: 'v1alpha1', resource: 'kollectprofiles' };
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: `7d1c0a3e-0001-4c53-9d57-6f1f${counterMarks.uid}`,
      kind,
      resource,
      requestKind: kind,
      requestResource: resource,
      name: `deployments-${counterMarks.object}`,
      namespace: 'default',
      operation: 'CREATE',
      userInfo: { username: 'admin', uid: 'admin', groups: ['system:masters', 'system:authenticated'] },
      object: profile,
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'kubectl-client-side-apply', fieldValidation: 'Strict' },
    },
  };
}
