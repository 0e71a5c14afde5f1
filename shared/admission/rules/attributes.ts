import { allowSecretExtraction } from '../../api/annotations.ts';
import { isSecret } from '../../api/gvk.ts';
import type { KollectProfileSpec } from '../../api/kollect-profile.ts';
import { attributeTypes, fittingType, parseAttributeType } from '../../extract/coerce.ts';
import { forbidden, invalid, notSupported, required, tooMany, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Loose, Rule, RuleInput } from '../rule.ts';
import { expressionLengthOfAll, maxExpressionLength } from './expression-length.ts';
import { uniqueNames } from './lists.ts';

type Input = RuleInput<KollectProfileSpec>;

/** What a profile extracts. */
export const attributeRules: readonly Rule<KollectProfileSpec>[] = [
  { id: 'attribute-name', field: 'spec.attributes[].name', asks: 'Must be set, unique, and not `__proto__`.', check: attributeNames },
  { id: 'paths-in-all', field: 'spec.attributes', asks: `Must hold at most ${maxExpressionLength} characters of paths in all.`, check: pathsInAll },
  { id: 'attribute-path', field: 'spec.attributes[].path', asks: 'Must be a JSONPath, a `cel:` expression or a `helm:` path that compiles.', check: eachPath(attributePath) },
  { id: 'attribute-path-of-secrets', field: 'spec.attributes[].path', asks: `Must stay outside the data of Secrets, unless the annotation \`${allowSecretExtraction}\` consents.`, check: eachPath(pathOfSecrets) },
  { id: 'attribute-path-likely', field: 'spec.attributes[].path', asks: 'Should name fields that objects have.', advises: true, check: eachPath(likelyPath) },
  { id: 'attribute-path-of-helm', field: 'spec.attributes[].path', asks: 'Should be a `helm:` path on Secrets only: releases of Helm are nowhere else.', advises: true, check: eachPath(helmPath) },
  { id: 'attribute-type', field: 'spec.attributes[].type', asks: `Must be one of ${attributeTypes.join(', ')}.`, check: attributeType },
  { id: 'attribute-type-fits', field: 'spec.attributes[].type', asks: 'Must be a type that the value of the path can have.', check: eachPath(typeFits) },
  { id: 'attributes-needed', field: 'spec.attributes', asks: 'Must have an item when `export` does not ask for whole objects.', check: attributesNeeded },
  { id: 'attributes-missing', field: 'spec.attributes', asks: 'Should have an item; without any, only the identity of objects is collected.', advises: true, check: attributesMissing },
];

function attributeNames({ spec }: Input, report: Report): void {
  uniqueNames('spec.attributes', spec.attributes, report);
  for (const [index, attribute] of (spec.attributes ?? []).entries()) {
    // Assigning to this name would set a prototype instead of an attribute.
    if (attribute?.name === '__proto__') report(invalid(`spec.attributes[${index}].name`, attribute.name, 'cannot be the name of an attribute; choose another'));
  }
}

type Attribute = NonNullable<Loose<NonNullable<KollectProfileSpec['attributes']>[number]>>;
type PathCheck = (index: number, path: string, attribute: Attribute, input: Input, report: Report) => void;

/** Applies a check to all paths, as long as they can be compiled without keeping the process. */
function eachPath(check: PathCheck): Rule<KollectProfileSpec>['check'] {
  return (input, report) => {
    if (pathLength(input) > maxExpressionLength) return;
    for (const [index, attribute] of (input.spec.attributes ?? []).entries()) {
      if (attribute?.path !== undefined) check(index, attribute.path, attribute, input, report);
    }
  };
}

function pathLength({ spec }: Input): number {
  return expressionLengthOfAll((spec.attributes ?? []).map((attribute) => attribute?.path));
}

function pathsInAll(input: Input, report: Report): void {
  const length = pathLength(input);
  if (length > maxExpressionLength) report(tooMany('spec.attributes', length, `must hold at most ${maxExpressionLength} characters of paths in all; spread the attributes over several profiles`));
}

function attributePath(index: number, path: string, _attribute: Attribute, { expressions }: Input, report: Report): void {
  if (path === '') {
    report(required(`spec.attributes[${index}].path`, 'write a path such as $.metadata.name, {.metadata.name} or cel:object.metadata.name'));
    return;
  }
  const { problem } = expressions.path(path);
  if (problem !== undefined) report(invalid(`spec.attributes[${index}].path`, path, problem));
}

function pathOfSecrets(index: number, path: string, _attribute: Attribute, { spec, annotations, expressions }: Input, report: Report): void {
  if (!isSecret(spec.targetGVK) || annotations[allowSecretExtraction] === 'true' || expressions.path(path).mayReadSecretData !== true) return;
  report(forbidden(`spec.attributes[${index}].path`, `the path may read the data of Secrets; name another field, or set the annotation ${allowSecretExtraction}: "true" (the data itself is redacted all the same)`));
}

function likelyPath(index: number, path: string, _attribute: Attribute, { expressions }: Input, report: Report): void {
  const { slip } = expressions.path(path);
  if (slip !== undefined) report(warning(`spec.attributes[${index}].path`, slip));
}

function helmPath(index: number, path: string, _attribute: Attribute, { spec, expressions }: Input, report: Report): void {
  if (!isSecret(spec.targetGVK) && expressions.path(path).language === 'helm') report(warning(`spec.attributes[${index}].path`, 'releases of Helm are in Secrets: on objects of another kind the path gives nothing'));
}

function attributeType({ spec }: Input, report: Report): void {
  for (const [index, attribute] of (spec.attributes ?? []).entries()) {
    const type = attribute?.type ?? '';
    if (type !== '' && parseAttributeType(type) === undefined) report(notSupported(`spec.attributes[${index}].type`, type, attributeTypes));
  }
}

function typeFits(index: number, path: string, { type = '' }: Attribute, { expressions }: Input, report: Report): void {
  const wanted = parseAttributeType(type);
  const { problem, resultType = 'dyn', language } = expressions.path(path);
  if (wanted === undefined || problem !== undefined) return;
  const fitting = fittingType(resultType, wanted);
  if (fitting === wanted) return;
  const what = language === 'cel' ? `the expression gives ${resultType}` : 'a path with a wildcard, slice, filter or ".." gives a list';
  const fix = language === 'cel' ? `write type ${fitting}` : `write type ${fitting}, or an index such as [0] in the path`;
  report(invalid(`spec.attributes[${index}].type`, type, `${what}; ${fix}`));
}

function attributesNeeded({ spec }: Input, report: Report): void {
  if ((spec.attributes ?? []).length === 0 && spec.export !== undefined && spec.export.mode !== 'Resource') report(required('spec.attributes', 'name at least one attribute, or set export.mode to Resource'));
}

function attributesMissing({ spec }: Input, report: Report): void {
  if ((spec.attributes ?? []).length === 0 && spec.export === undefined) report(warning('spec.attributes', 'no attributes: only the identity of the objects is collected'));
}
