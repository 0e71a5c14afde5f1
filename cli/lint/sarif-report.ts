import { isAbsolute, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { LintFinding, LintResult } from '../../shared/lint/lint.ts';
import { ruleText } from '../../shared/lint/rule-text.ts';
import { versionText } from '../../shared/version.ts';
import type { ExitCode } from '../command.ts';

/** The report for code scanning: SARIF 2.1.0. Of the rules it lists those that found something. */
export function sarifReport({ findings, isComplete }: LintResult, exitCode: ExitCode): string {
  const ids = [...new Set(findings.map(ruleId))].toSorted();
  const indices = new Map(ids.map((id, index) => [id, index]));
  const texts = new Map(findings.map((finding) => [ruleId(finding), ruleText(finding.object?.kind, finding.rule)]));
  const [version = ''] = versionText().split(' ');
  const log = {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'kollect lint', version, rules: ids.map((id) => ({ id, shortDescription: { text: texts.get(id) ?? id } })) } },
        invocations: [{ executionSuccessful: isComplete, exitCode }],
        columnKind: 'utf16CodeUnits',
        results: findings.map((finding) => result(finding, indices)),
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

function result(finding: LintFinding, indices: ReadonlyMap<string, number>) {
  const { file, region, severity, object, field, problem } = finding;
  const id = ruleId(finding);
  const name = object && [object.kind, object.namespace, object.name].filter((part) => part !== '').join('/');
  return {
    ruleId: id,
    ruleIndex: indices.get(id) ?? -1,
    level: severity,
    message: { text: field === undefined ? problem : `${field}: ${problem}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: artifact(file),
          // Scanners want a place even of what has none.
          region: region === undefined ? { startLine: 1 } : { startLine: region.line, startColumn: region.column, endLine: region.endLine, endColumn: region.endColumn },
        },
        ...(name === undefined || name === '' ? {} : { logicalLocations: [{ fullyQualifiedName: field === undefined ? name : `${name}#${field}` }] }),
      },
    ],
  };
}

/** A rule belongs to a kind; what is wrong with files does not. */
function ruleId({ object, rule }: LintFinding): string {
  return object === undefined || object.kind === '' ? rule : `${object.kind}/${rule}`;
}

/** Below the folder it was called in, where scanners look for it; absolute when it lies outside. */
function artifact(file: string): { uri: string; uriBaseId?: string } {
  const path = isAbsolute(file) ? relative(process.cwd(), file) : file;
  if (path.startsWith('..') || isAbsolute(path)) return { uri: pathToFileURL(file).href };
  return { uri: path.split(sep).map(encodeURIComponent).join('/'), uriBaseId: '%SRCROOT%' };
}
