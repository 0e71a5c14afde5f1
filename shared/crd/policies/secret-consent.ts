import { allowFullResourceExport, allowSecretExtraction } from '../../api/annotations.ts';
import type { Policy } from '../policy.ts';

const consents = (object: 'object' | 'oldObject', annotation: string) =>
  `has(${object}.metadata.annotations) && '${annotation}' in ${object}.metadata.annotations && ${object}.metadata.annotations['${annotation}'] == 'true'`;

/** Paths that begin in the data of a Secret, or take all of it. Others that may reach it are for the webhook, which parses them. */
const readsData = [
  String.raw`(\$|\{ *\$?)\.(data|stringData)([.\[} ]|$)`,
  String.raw`(\$|\{ *\$?)\[ *['"](data|stringData)['"]`,
  String.raw`\$(\.\.|\.\*|\[\*)`,
  String.raw`\$$`,
  String.raw`cel:\s*object(\.(data|stringData)([^a-zA-Z0-9_]|$)|\[\s*['"](data|stringData)['"]|\s*$)`,
  String.raw`helm:release\.config(\.|$)`,
].join('|');

export const secretConsent: Policy = {
  name: 'kollect-secret-consent',
  description: 'Profiles read the data of Secrets, or export whole Secrets, only with an annotation that consents.',
  kinds: ['KollectProfile'],
  variables: {
    isSecret: `object.spec.targetGVK.kind.lowerAscii() == 'secret' && (!has(object.spec.targetGVK.group) || object.spec.targetGVK.group.lowerAscii() in ['', 'core'])`,
    attributes: 'has(object.spec.attributes) ? object.spec.attributes : []',
  },
  findings: [
    {
      rule: 'export-of-secrets',
      fields: `variables.isSecret && has(object.spec.export) && object.spec.export.mode == 'Resource' && !(${consents('object', allowFullResourceExport)}) ? ['spec.export.mode'] : []`,
      says: `Resource would export whole Secrets; use mode Attributes, or set the annotation ${allowFullResourceExport}: "true" (their data is redacted all the same)`,
    },
    {
      rule: 'attribute-path-of-secrets',
      fields: `variables.isSecret && !(${consents('object', allowSecretExtraction)}) ? variables.attributes.filter(a, a.path.trim().matches(r"""^(${readsData})""")).map(a, 'spec.attributes[' + a.name + '].path') : []`,
      says: `the path may read the data of Secrets; name another field, or set the annotation ${allowSecretExtraction}: "true" (the data itself is redacted all the same)`,
    },
  ],
  unchanged: `oldObject.spec == object.spec && ${[allowFullResourceExport, allowSecretExtraction].map((annotation) => `(${consents('oldObject', annotation)}) == (${consents('object', annotation)})`).join(' && ')}`,
};
