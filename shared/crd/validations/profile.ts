import { validationsOf, type CrdValidation } from '../crd-validation.ts';
import { groupVersionKind } from './common.ts';

/** Whether a path compiles is beyond CEL; whether it can be one shows at its beginning. */
export const profileValidations: readonly CrdValidation[] = validationsOf('KollectProfile', {
  'target-gvk': groupVersionKind('spec.targetGVK'),
  'attribute-name': [{ at: 'spec.attributes[].name', expression: `self.trim() != ''`, message: 'write a name', reason: 'FieldValueRequired' }],
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
  'resource-mode': [
    {
      at: 'spec',
      expression: `!has(self.export) || self.export.mode != 'Resource' || !has(self.attributes) || !self.attributes.exists(a, a.name == self.export.as)`,
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
  'metric-name': [{ at: 'spec.metrics[].name', expression: `self.trim() != ''`, message: 'write a name', reason: 'FieldValueRequired' }],
  metrics: [
    { at: 'spec.metrics[].labels', expression: 'size(self) <= 5', message: 'must have at most 5 items' },
    {
      at: 'spec',
      expression: `!has(self.metrics) || self.metrics.all(m, has(self.attributes) && self.attributes.exists(a, a.name == m.path))`,
      message: 'the path of each metric must be the name of an attribute of this profile',
      fieldPath: '.metrics',
    },
  ],
});
