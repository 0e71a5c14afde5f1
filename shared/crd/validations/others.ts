import { validationsOf, type CelCheck, type CrdValidation } from '../crd-validation.ts';
import { durationSyntax, groupVersionKind, interval, namesOnly, namespaceNames, objectName, sameNamespaceOnly } from './common.ts';

const sinkFields = ['snapshotSinkRef', 'databaseSinkRef', 'eventSinkRef'];
const setFields = `[${sinkFields.map((field) => `has(self.${field})`).join(', ')}].filter(set, set).size()`;

const connectionTest = validationsOf('KollectConnectionTest', {
  'one-sink': [
    { at: 'spec.sinkRef', expression: `${setFields} > 0`, message: `name the sink in one of ${sinkFields.join(', ')}`, reason: 'FieldValueRequired' },
    { at: 'spec.sinkRef', expression: `${setFields} < 2`, message: 'must have exactly one field; write a KollectConnectionTest for each sink' },
  ],
  'sink-name': sinkFields.flatMap((field) => objectName(`spec.sinkRef.${field}`, sameNamespaceOnly)),
  'profile-ref': objectName('spec.profileRef', sameNamespaceOnly),
});

const ceiling: Readonly<Record<string, readonly CelCheck[]>> = {
  schema: durationSyntax('spec.minExportInterval'),
  'allowed-gvks': groupVersionKind('spec.allowedGVKs[]'),
  'allowed-namespaces': namespaceNames('spec.allowedNamespaces[]'),
  'denied-namespaces': namespaceNames('spec.deniedNamespaces[]'),
  'min-export-interval': interval('spec.minExportInterval'),
  'snapshot-sink-refs': objectName('spec.snapshotSinkRefs[]', namesOnly),
  'database-sink-refs': objectName('spec.databaseSinkRefs[]', namesOnly),
  'event-sink-refs': objectName('spec.eventSinkRefs[]', namesOnly),
};

/** Connection tests and both kinds of scopes. */
export const otherValidations: readonly CrdValidation[] = [
  ...connectionTest,
  ...validationsOf('KollectScope', ceiling),
  ...validationsOf('KollectClusterScope', { ...ceiling, 'static-ref-namespaces': namespaceNames('spec.allowedStaticRefNamespaces[]') }),
];
