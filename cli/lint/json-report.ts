import type { LintResult } from '../../shared/lint/lint.ts';

/** Grows when a field changes its meaning or goes; fields may be added without. */
const reportVersion = 1;

/** The report for scripts; `docs/kollect-lint.md` describes it. */
export function jsonReport({ findings, objects, others, isComplete }: LintResult): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const report = {
    version: reportVersion,
    summary: { objects, errors, warnings: findings.length - errors, otherObjects: others, complete: isComplete },
    findings: findings.map(({ file, region, severity, rule, object, field, type, problem }) => ({ file, ...region, severity, rule, object, field, type, message: problem })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
