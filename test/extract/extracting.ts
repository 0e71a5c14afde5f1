import { compileProfile, type AttributeSource, type Extraction } from '../../shared/extract/compile-profile.ts';

export const targetGVK = { group: 'apps', version: 'v1', kind: 'Deployment' };

export function extract(object: object, attributes: AttributeSource[]): Extraction {
  return compileProfile({ spec: { targetGVK, attributes } }).extract(object);
}

/** The value of one optional attribute, undefined when it was left out. */
export function valueAt(object: object, path: string, name = 'value', type?: string): unknown {
  return extract(object, [{ name, path, type, optional: true }]).attributes[name];
}
