import { validationsOf, type CelCheck, type CrdValidation } from '../crd-validation.ts';
import { durationSyntax, groupVersionKind, interval, namespaceNames, objectName, sameNamespaceOnly } from './common.ts';

const sinkFields = ['snapshotSinkRef', 'databaseSinkRef', 'eventSinkRef'];
const setFields = `[${sinkFields.map((field) => `has(self.${field})`).join(', ')}].filter(set, set).size()`;

const connectionTest = validationsOf('KollectConnectionTest', {
  'sink-ref': [
    { at: 'spec.sinkRef', expression: `${setFields} > 0`, message: `name the sink in one of ${sinkFields.join(', ')}`, reason: 'FieldValueRequired' },
    { at: 'spec.sinkRef', expression: `${setFields} < 2`, message: 'a test is about one sink: keep one of the fields' },
    ...sinkFields.flatMap((field) => objectName(`spec.sinkRef.${field}`, sameNamespaceOnly)),
  ],
  'profile-ref': objectName('spec.profileRef', sameNamespaceOnly),
});

const notEmpty = (at: string): CelCheck => ({ at, expression: `self.trim() != ''`, message: 'must not be empty' });

const ceiling: Readonly<Record<string, readonly CelCheck[]>> = {
  schema: durationSyntax('spec.minExportInterval'),
  'allowed-gvks': groupVersionKind('spec.allowedGVKs[]'),
  'allowed-namespaces': namespaceNames('spec.allowedNamespaces[]'),
  'denied-namespaces': namespaceNames('spec.deniedNamespaces[]'),
  'min-export-interval': interval('spec.minExportInterval'),
  'sink-refs': ['snapshotSinkRefs', 'databaseSinkRefs', 'eventSinkRefs'].map((list) => notEmpty(`spec.${list}[]`)),
};

/** Connection tests and both kinds of scopes. */
export const otherValidations: readonly CrdValidation[] = [...connectionTest, ...validationsOf('KollectScope', ceiling), ...validationsOf('KollectClusterScope', ceiling)];
