import { GROUP, VERSION } from '../api/group.ts';
import { kindByName } from '../api/kinds.ts';
import type { Policy } from './policy.ts';

/** A ValidatingAdmissionPolicy or its binding. */
export interface PolicyObject {
  apiVersion: 'admissionregistration.k8s.io/v1';
  kind: 'ValidatingAdmissionPolicy' | 'ValidatingAdmissionPolicyBinding';
  metadata: { name: string; labels: Record<string, string>; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
}

const labels = { 'app.kubernetes.io/name': 'kollect', 'app.kubernetes.io/component': 'admission-policy' };

/** The API server takes 5 KiB, of which a character may need four. */
const maxMessageLength = 1200;

/** The policy and the binding that puts it in force everywhere. All that it finds is said in one message, since only the first validation that fails is shown. */
export function policyObjects({ name, description, kinds, variables = {}, findings, unchanged, reason }: Policy): PolicyObject[] {
  const found = Object.fromEntries(findings.map(({ fields, says }, index) => [`found${index + 1}`, `(${fields}).map(f, f + ${celText(`: ${says}`)})`]));
  const problems = Object.keys(found).map((name) => `variables.${name}`).join(' + ');
  const all = { ...variables, ...found, problems, said: `variables.problems.join('; ')` };
  const policy: PolicyObject = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name, labels, annotations: { 'kubernetes.io/description': description } },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [{ apiGroups: [GROUP], apiVersions: [VERSION], operations: ['CREATE', 'UPDATE'], resources: kinds.map(pluralOf) }],
      },
      // A finalizer comes off whatever the object says.
      matchConditions: [{ name: 'not-being-deleted', expression: `request.operation != 'UPDATE' || !has(object.metadata.deletionTimestamp)` }],
      variables: Object.entries(all).map(([name, expression]) => ({ name, expression })),
      validations: [
        {
          expression: `${unchanged === undefined ? '' : `(request.operation == 'UPDATE' && ${unchanged}) || `}size(variables.problems) == 0`,
          messageExpression: `size(variables.said) > ${maxMessageLength} ? variables.said.substring(0, ${maxMessageLength}) + '…' : variables.said`,
          message: description,
          reason: reason ?? 'Invalid',
        },
      ],
    },
  };
  const binding: PolicyObject = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name, labels },
    spec: { policyName: name, validationActions: ['Deny'] },
  };
  return [policy, binding];
}

/** A text as CEL writes it, which is as JSON does. */
function celText(text: string): string {
  return JSON.stringify(text);
}

function pluralOf(kind: string): string {
  const definition = kindByName(kind);
  if (definition === undefined) throw new Error(`${kind} is not a kind of this API`);
  return definition.plural;
}
