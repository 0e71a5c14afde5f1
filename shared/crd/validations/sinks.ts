import { clusterNameRule } from '../../admission/rules/sink.ts';
import { sinkTypes } from '../../api/sink-types.ts';
import type { SinkFamily } from '../../api/sink-ref.ts';
import { validationsOf, type CelCheck, type CrdValidation } from '../crd-validation.ts';
import { durationSyntax, interval, pathTemplate, secretReference } from './common.ts';
import { databaseBackends } from './sinks-database.ts';
import { eventBackends } from './sinks-event.ts';
import { snapshotBackends } from './sinks-snapshot.ts';

/** Fields that sinks of all families share. Options are judged by a policy: CRD rules cannot afford maps of any size. */
const shared: Readonly<Record<string, readonly CelCheck[]>> = {
  schema: durationSyntax('spec.exportMinInterval'),
  'cluster-name': [{ at: 'spec.cluster', expression: String.raw`self == '' || (size(self) <= 253 && self == self.trim() && self.matches(r'^[^./\\\p{Cc}\p{Cf}][^/\\\p{Cc}\p{Cf}]*$'))`, message: clusterNameRule }],
  'endpoint-credentials': [
    { at: 'spec.endpoint', expression: String.raw`!self.matches(r'^([a-zA-Z][a-zA-Z0-9+.-]*://)?[^\s/?#@:]*:[^\s/@]+@')`, message: 'holds a password; put it into a Secret and name that in secretRef', reason: 'FieldValueForbidden' },
  ],
  'secret-ref': secretReference('spec.secretRef'),
  'tls-trust': [{ at: 'spec.tls', expression: '!(has(self.caBundle) && has(self.caSecretRef))', message: 'trust comes from one place: keep one of the two' }],
  'tls-ca-secret-ref': secretReference('spec.tls.caSecretRef'),
  'tls-client-certificate': secretReference('spec.tls.clientCertificateSecretRef'),
  ...pathTemplate('path-template', 'spec.pathTemplate'),
  'export-min-interval': interval('spec.exportMinInterval'),
  ...pathTemplate('naming-template', 'spec.provisioning.naming.template'),
};

/** Rules that follow from the facts of the types of a family. */
function byType(family: SinkFamily): Record<string, CelCheck[]> {
  const types = Object.entries(sinkTypes).filter(([, facts]) => facts.family === family);
  const laidOut = types.filter(([, { hasLayout }]) => hasLayout).map(([type]) => type);
  const blocks = Map.groupBy(types, ([, { block }]) => block);
  const byFormats = (say: (formats: readonly string[]) => string) => types.reduceRight((rest, [type, { formats }]) => `self.type == '${type}' ? ${say(formats)} : ${rest}`, say(['json']));
  return {
    'type-block': [...blocks].flatMap(([block, users]) => typeBlock(block, users.map(([type]) => type), users.some(([, { isBlockRequired }]) => isBlockRequired))),
    layout: [
      {
        at: 'spec',
        expression: `!has(self.layout) || self.type in ${celList(laidOut)}`,
        message: 'only sinks of the types git and gitlab have a layout',
        messageExpression: `'only sinks of the types git and gitlab have a layout, not ' + self.type`,
        fieldPath: '.layout',
        reason: 'FieldValueForbidden',
      },
    ],
    'serialization-format': [
      {
        at: 'spec',
        expression: `!has(self.serialization) || !has(self.serialization.format) || self.serialization.format == 'json' || self.serialization.format in (${byFormats(celList)})`,
        message: 'the type of the sink cannot write this format',
        messageExpression: `'supported values: ' + (${byFormats((formats) => `'${formats.map((format) => JSON.stringify(format)).join(', ')}'`)})`,
        fieldPath: '.serialization.format',
      },
    ],
  };
}

/** The block of a type is there if the type needs it, and those of others are not. */
function typeBlock(block: string, types: readonly string[], isRequired: boolean): CelCheck[] {
  const needed: CelCheck = {
    at: 'spec',
    expression: `!(self.type in ${celList(types)}) || has(self.${block})`,
    message: `a sink of the type ${types.join(' or ')} needs this block`,
    fieldPath: `.${block}`,
    reason: 'FieldValueRequired',
  };
  const foreign: CelCheck = {
    at: 'spec',
    expression: `self.type in ${celList(types)} || !has(self.${block})`,
    message: `remove the block, or set the type to ${types.join(' or ')}`,
    messageExpression: `'the type of this sink is ' + self.type + '; remove the block, or set the type to ${types.join(' or ')}'`,
    fieldPath: `.${block}`,
    reason: 'FieldValueForbidden',
  };
  return isRequired ? [needed, foreign] : [foreign];
}

function celList(texts: readonly string[]): string {
  return `[${texts.map((text) => `'${text}'`).join(', ')}]`;
}

export const sinkValidations: readonly CrdValidation[] = [
  ...validationsOf('KollectSnapshotSink', { ...shared, ...byType('snapshot'), ...snapshotBackends }),
  ...validationsOf('KollectDatabaseSink', { ...shared, ...byType('database'), ...databaseBackends }),
  ...validationsOf('KollectEventSink', { ...shared, ...byType('event'), ...eventBackends }),
];
