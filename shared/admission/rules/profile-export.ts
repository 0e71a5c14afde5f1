import { allowFullResourceExport } from '../../api/annotations.ts';
import { isSecret } from '../../api/gvk.ts';
import type { KollectProfileSpec } from '../../api/kollect-profile.ts';
import { duplicate, forbidden, invalid, required, tooMany, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { expressionLengthOfAll, maxExpressionLength } from './expression-length.ts';

type Input = RuleInput<KollectProfileSpec>;

/** Whether and how a profile exports whole objects. */
export const profileExportRules: readonly Rule<KollectProfileSpec>[] = [
  { id: 'export-as', field: 'spec.export.as', asks: 'Must be set and not the name of an attribute, when whole objects are exported.', check: exportAs },
  { id: 'export-of-secrets', field: 'spec.export.mode', asks: `Must not be Resource for Secrets, unless the annotation \`${allowFullResourceExport}\` consents.`, check: exportOfSecrets },
  { id: 'prune-needs-resource', field: 'spec.export.prune', asks: 'Has no effect on attributes, but for scrubKeys.', advises: true, check: pruneNeedsResource },
  { id: 'prune-pointers', field: 'spec.export.prune.jsonPointers[]', asks: 'Must be JSON Pointers.', check: prunePointers },
  { id: 'prune-paths-in-all', field: 'spec.export.prune.jsonPaths', asks: `Must hold at most ${maxExpressionLength} characters in all.`, check: prunePathsInAll },
  { id: 'prune-paths', field: 'spec.export.prune.jsonPaths[]', asks: 'Must be JSONPaths that compile.', check: prunePaths },
  { id: 'prune-scrub-keys', field: 'spec.export.prune.scrubKeys[]', asks: 'Must not be blank.', check: scrubKeys },
  { id: 'prune-cel-in-all', field: 'spec.export.prune.cel', asks: `Must hold at most ${maxExpressionLength} characters in all.`, check: pruneCelInAll },
  { id: 'prune-cel', field: 'spec.export.prune.cel[]', asks: 'Must be CEL over path, key and value that compiles and gives true or false.', check: pruneCel },
];

function exportAs({ spec }: Input, report: Report): void {
  if (spec.export?.mode !== 'Resource') return;
  const as = spec.export.as ?? 'resource';
  if (as.trim() === '') report(required('spec.export.as', 'name the attribute that holds the object, such as resource'));
  else if (as === '__proto__') report(invalid('spec.export.as', as, 'cannot be the name of an attribute; choose another'));
  else if (spec.attributes?.some((attribute) => attribute?.name === as)) report(duplicate('spec.export.as', as, 'an attribute has this name; choose another'));
}

function exportOfSecrets({ spec, annotations }: Input, report: Report): void {
  if (spec.export?.mode === 'Resource' && isSecret(spec.targetGVK) && annotations[allowFullResourceExport] !== 'true') {
    report(forbidden('spec.export.mode', `Resource would export whole Secrets; use mode Attributes, or set the annotation ${allowFullResourceExport}: "true" (their data is redacted all the same)`));
  }
}

function pruneNeedsResource({ spec }: Input, report: Report): void {
  if (spec.export === undefined || spec.export.mode === 'Resource') return;
  const { jsonPointers = [], jsonPaths = [], cel = [] } = spec.export.prune ?? {};
  if (jsonPointers.length + jsonPaths.length + cel.length > 0) report(warning('spec.export.prune', 'only prunes whole objects; set export.mode to Resource, or remove it'));
}

function prunePointers({ spec }: Input, report: Report): void {
  for (const [index, pointer] of (spec.export?.prune?.jsonPointers ?? []).entries()) {
    if (pointer !== undefined && !/^(\/([^~/]|~[01])*)+$/.test(pointer)) {
      report(invalid(`spec.export.prune.jsonPointers[${index}]`, pointer, 'must be a JSON Pointer such as /metadata/labels: it begins with "/", "~" is written ~0 and "/" inside a name ~1'));
    }
  }
}

function prunePathsInAll({ spec }: Input, report: Report): void {
  inAll('jsonPaths', spec.export?.prune?.jsonPaths, report);
}

function pruneCelInAll({ spec }: Input, report: Report): void {
  inAll('cel', spec.export?.prune?.cel, report);
}

function inAll(field: string, expressions: readonly (string | undefined)[] = [], report: Report): void {
  const length = expressionLengthOfAll(expressions);
  if (length > maxExpressionLength) report(tooMany(`spec.export.prune.${field}`, length, `must hold at most ${maxExpressionLength} characters in all`));
}

function prunePaths(input: Input, report: Report): void {
  const paths = input.spec.export?.prune?.jsonPaths ?? [];
  if (expressionLengthOfAll(paths) > maxExpressionLength) return;
  for (const [index, path] of paths.entries()) {
    if (path === undefined) continue;
    const problem = path.trim() === '' ? 'must not be empty; remove the item' : input.expressions.prune(path).problem;
    if (problem !== undefined) report(invalid(`spec.export.prune.jsonPaths[${index}]`, path, problem));
  }
}

function scrubKeys({ spec }: Input, report: Report): void {
  for (const [index, key] of (spec.export?.prune?.scrubKeys ?? []).entries()) {
    if (key?.trim() === '') report(invalid(`spec.export.prune.scrubKeys[${index}]`, key, 'must not be blank; write a key such as pin'));
  }
}

function pruneCel(input: Input, report: Report): void {
  const conditions = input.spec.export?.prune?.cel ?? [];
  if (expressionLengthOfAll(conditions) > maxExpressionLength) return;
  for (const [index, condition] of conditions.entries()) {
    if (condition === undefined) continue;
    const field = `spec.export.prune.cel[${index}]`;
    const { problem, resultType } = condition.trim() === '' ? { problem: 'must not be empty; remove the item' } : input.expressions.pruneCondition(condition);
    if (problem !== undefined) report(invalid(field, condition, problem));
    else if (resultType !== 'bool' && resultType !== 'dyn') report(invalid(field, condition, `gives ${resultType}, but a condition must give true or false; compare it with something`));
  }
}
