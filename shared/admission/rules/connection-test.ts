import type { KollectConnectionTestSpec } from '../../api/kollect-connection-test.ts';
import { invalid, required } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { annotationRule } from './annotations.ts';
import { objectName, sameNamespaceOnly } from './names.ts';

type Input = RuleInput<KollectConnectionTestSpec>;

export const connectionTestRules: readonly Rule<KollectConnectionTestSpec>[] = [
  annotationRule({}),
  { id: 'one-sink', field: 'spec.sinkRef', asks: 'Must have exactly one of snapshotSinkRef, databaseSinkRef and eventSinkRef.', check: oneSink },
  { id: 'sink-name', field: 'spec.sinkRef.*', asks: 'Must be the name of a sink of the same namespace.', check: sinkName },
  { id: 'profile-ref', field: 'spec.profileRef', asks: 'Must be the name of a profile of the same namespace.', check: ({ spec }, report) => objectName('spec.profileRef', spec.profileRef, sameNamespaceOnly, report) },
];

const sinkFields = ['snapshotSinkRef', 'databaseSinkRef', 'eventSinkRef'] as const;

function oneSink({ spec: { sinkRef } }: Input, report: Report): void {
  if (sinkRef === undefined) return;
  const named = sinkFields.filter((field) => sinkRef[field] !== undefined);
  if (named.length === 0) report(required('spec.sinkRef', `name the sink in one of ${sinkFields.join(', ')}`));
  else if (named.length > 1) report(invalid('spec.sinkRef', named.join(', '), 'must have exactly one field; write a KollectConnectionTest for each sink'));
}

function sinkName({ spec: { sinkRef } }: Input, report: Report): void {
  for (const field of sinkFields) objectName(`spec.sinkRef.${field}`, sinkRef?.[field], sameNamespaceOnly, report);
}
