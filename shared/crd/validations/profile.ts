import { validationsOf, type CrdValidation } from '../crd-validation.ts';
import { groupVersionKind, notBlank } from './common.ts';

/** `as` is a word of CEL, which names fields like that with underscores. */
const exportsResource = `has(self.export) && self.export.mode == 'Resource'`;

/** Whether a path compiles is beyond CEL; whether it can be one shows at its beginning. */
export const profileValidations: readonly CrdValidation[] = validationsOf('KollectProfile', {
  'target-gvk': groupVersionKind('spec.targetGVK'),
  'attribute-name': [
    notBlank('spec.attributes[].name', 'write a name'),
    { at: 'spec.attributes[].name', expression: `self != '__proto__'`, message: 'cannot be the name of an attribute; choose another' },
  ],
  'attribute-path': [
    {
      at: 'spec.attributes[].path',
      expression: String.raw`self.trim().matches(r'^(\$|\{|cel:|helm:)')`,
      message: 'is plain text, not a path; write a path such as $.metadata.name, {.metadata.name} or cel:object.metadata.name',
    },
  ],
  'attributes-needed': [
    {
      at: 'spec',
      expression: `!has(self.export) || self.export.mode == 'Resource' || (has(self.attributes) && size(self.attributes) > 0)`,
      message: 'name at least one attribute, or set export.mode to Resource',
      fieldPath: '.attributes',
      reason: 'FieldValueRequired',
    },
  ],
  'export-as': [
    { at: 'spec', expression: `!(${exportsResource}) || self.export.__as__.trim() != ''`, message: 'name the attribute that holds the object, such as resource', fieldPath: '.export.as', reason: 'FieldValueRequired' },
    { at: 'spec', expression: `!(${exportsResource}) || self.export.__as__ != '__proto__'`, message: 'cannot be the name of an attribute; choose another', fieldPath: '.export.as' },
    {
      at: 'spec',
      expression: `!(${exportsResource}) || !has(self.attributes) || !self.attributes.exists(a, a.name == self.export.__as__)`,
      message: 'an attribute has this name; choose another',
      fieldPath: '.export.as',
      reason: 'FieldValueDuplicate',
    },
  ],
  'prune-pointers': [
    {
      at: 'spec.export.prune.jsonPointers[]',
      expression: `self.matches(r'^(/([^~/]|~[01])*)+$')`,
      message: 'must be a JSON Pointer such as /metadata/labels: it begins with "/", "~" is written ~0 and "/" inside a name ~1',
    },
  ],
  'prune-scrub-keys': [{ at: 'spec.export.prune.scrubKeys[]', expression: `self.trim() != ''`, message: 'must not be blank; write a key such as pin' }],
  'metric-name': [{ at: 'spec.metrics[].name', expression: `self.matches(r'^[a-zA-Z_:][a-zA-Z0-9_:]*$')`, message: 'must be letters, digits, "_" and ":", not beginning with a digit' }],
  'metric-path': [
    {
      at: 'spec',
      expression: `!has(self.metrics) || self.metrics.all(m, has(self.attributes) && self.attributes.exists(a, a.name == m.path))`,
      message: 'the path of each metric must be the name of an attribute of this profile',
      fieldPath: '.metrics',
    },
  ],
  'metric-labels': [{ at: 'spec.metrics[].labels', expression: 'size(self) <= 5', message: 'must have at most 5 items' }],
});
