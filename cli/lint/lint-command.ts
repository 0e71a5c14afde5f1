import { admissionFlags, installationPolicy } from '../../shared/admission-flags.ts';
import { KollectError } from '../../shared/errors.ts';
import { parseFlags } from '../../shared/flags.ts';
import type { FlagDefinitions } from '../../shared/flags.ts';
import { readFiles } from '../../shared/lint/files.ts';
import { lint } from '../../shared/lint/lint.ts';
import type { LintResult } from '../../shared/lint/lint.ts';
import type { Command, ExitCode, Terminal } from '../command.ts';
import { jsonReport } from './json-report.ts';
import { sarifReport } from './sarif-report.ts';
import { textReport } from './text-report.ts';

const flags = {
  namespace: { type: 'string', short: 'n', default: 'default', placeholder: 'name', help: 'Namespace of objects that name none, as in kubectl apply -n.' },
  output: { type: 'string', short: 'o', default: 'text', choices: ['text', 'json', 'sarif'], help: 'Form of the report: text for people, json for scripts, sarif for code scanning.' },
  quiet: { type: 'boolean', short: 'q', default: false, help: 'Report errors only.' },
  verbose: { type: 'boolean', short: 'v', default: false, help: 'Say what is left out, and why.' },
  'warnings-as-errors': { type: 'boolean', default: false, help: 'Exit with 1 for warnings too.' },
  'no-color': { type: 'boolean', default: false, help: 'No colors. They are only used on a terminal, and not when NO_COLOR is set.' },
  ...admissionFlags,
} as const satisfies FlagDefinitions;

const about = `Judges Kollect's objects as the admission webhook does, without a cluster: files, folders with all below them, and - for standard
input; YAML of many documents or JSON. Objects of other groups are counted and left alone.

What rules look up is taken from the other objects given: scopes, profiles, targets. An object that is not given is no finding, and
whether you may use what an object refers to is known to the cluster alone. Exits with 1 when there are errors, with 2 when something
cannot be read.

Examples:
  kollect lint manifests/
  kubectl kustomize overlays/prod | kollect lint -
  kubectl get kollect -A -o yaml | kollect lint -`;

export const lintCommand: Command = {
  name: 'lint',
  summary: "Judge Kollect's objects in files, as the admission webhook does.",
  async run(argv, terminal) {
    const options = parseFlags(flags, argv, { usage: 'kollect lint [flags] <file|folder|->...', about, takesArguments: true });
    if (options.help !== undefined) {
      terminal.stdout.write(options.help);
      return 0;
    }
    if (options.arguments.length === 0) throw new KollectError('KOL_CONFIG_FLAG', 'name files or folders, or - for standard input; --help shows examples');

    const { sources, skipped } = await readFiles(options.arguments, terminal.stdin);
    if (options.verbose) for (const { name, why } of skipped) terminal.stderr.write(`${name}: left out: ${why}\n`);
    const found = lint(sources, { installation: installationPolicy(options), namespace: options.namespace });
    const result = options.quiet ? { ...found, findings: found.findings.filter(({ severity }) => severity === 'error') } : found;
    const exitCode = exitCodeOf(found, options['warnings-as-errors']);
    terminal.stdout.write(report(options.output, result, exitCode, terminal, options['no-color']));
    return exitCode;
  },
};

function report(output: 'text' | 'json' | 'sarif', result: LintResult, exitCode: ExitCode, { stdout, env }: Terminal, noColor: boolean): string {
  switch (output) {
    case 'json':
      return jsonReport(result);
    case 'sarif':
      return sarifReport(result, exitCode);
    case 'text':
      return textReport(result, { hasColor: stdout.isTTY === true && !noColor && !env['NO_COLOR'] && env['TERM'] !== 'dumb', ...(stdout.isTTY === true && stdout.columns !== undefined ? { columns: stdout.columns } : {}) });
  }
}

function exitCodeOf({ findings, isComplete }: LintResult, warningsCount: boolean): ExitCode {
  if (!isComplete) return 2;
  return findings.some(({ severity }) => warningsCount || severity === 'error') ? 1 : 0;
}
