import { namespaceRule } from '../../api/text.ts';
import { validationsOf, type CrdValidation } from '../crd-validation.ts';
import { durationSyntax, interval, labelSelector, namespaceHasItsField, namespaceName, noNamespace, objectName, requiredNamespace, ruledTextCheck } from './common.ts';

/** References to sinks may be strings or objects, which CRD rules cannot name: they are judged by a policy. */
export const inventoryValidations: readonly CrdValidation[] = [
  ...validationsOf('KollectInventory', {
    schema: durationSyntax('spec.exportMinInterval'),
    'export-min-interval': interval('spec.exportMinInterval'),
  }),
  ...validationsOf('KollectClusterInventory', {
    schema: [...durationSyntax('spec.exportMinInterval'), ruledTextCheck('spec.namespaces[]', namespaceRule)],
    'export-min-interval': interval('spec.exportMinInterval'),
    'profile-ref-name': objectName('spec.profileRef.name', namespaceHasItsField),
    'profile-ref-namespace': requiredNamespace('spec.profileRef'),
    'target-refs': objectName('spec.targetRefs[]', noNamespace),
    'target-selector': labelSelector('spec.targetSelector'),
    'namespace-selector': labelSelector('spec.namespaceSelector'),
    'sink-namespace': namespaceName('spec.sinkNamespace'),
  }),
];
