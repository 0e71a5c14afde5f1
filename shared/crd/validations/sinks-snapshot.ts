import { rowPlaceholders } from '../../admission/rules/layout.ts';
import type { CelCheck } from '../crd-validation.ts';
import { isBlank, knownPlaceholders, pathTemplate, refusedHostMessage, refusedHosts, relativePath, secretReference } from './common.ts';

/** What git would take for something else than a branch. */
const noBranch = ['^refs/', '[.][.]', '^HEAD$', '//', '/$', '(^|/)[.]', '[.](/|$)', '[.][lL][oO][cC][kK](/|$)'].join('|');

const branch = (at: string): CelCheck[] => [
  {
    at,
    expression: `${isBlank} || (size(self.trim()) <= 250 && self.trim().matches(r'^[A-Za-z0-9][A-Za-z0-9._/-]*$') && !self.trim().matches(r'${noBranch}'))`,
    message: 'must be the short name of a branch, such as main: at most 250 letters, digits, ".", "_", "/" and "-", without what means something else to git',
  },
];

const rows = 'spec.layout.pathTemplate';

/** Settings of repositories, object stores and web hooks. What an address means is beyond CEL; whether it is one of a file shows at its beginning. */
export const snapshotBackends: Readonly<Record<string, readonly CelCheck[]>> = {
  'endpoint-is-there': [{ at: 'spec', expression: String.raw`has(self.endpoint) && self.endpoint.matches(r'[^\s]')`, message: 'a sink needs an address, such as https://git.example.com/team/inventory.git or s3://bucket/prefix', fieldPath: '.endpoint', reason: 'FieldValueRequired' }],
  'endpoint-is-remote': [
    { at: 'spec.endpoint', expression: String.raw`!self.matches(r'^\s*([fF][iI][lL][eE]:|[/~.])') && (self.contains(':') || !self.contains(r'\'))`, message: 'is a path on the machine of Kollect; write the address of a server', reason: 'FieldValueForbidden' },
  ],
  'endpoint-host': [
    {
      at: 'spec.endpoint',
      expression: `!self.matches(r'^(?i)\\s*(https?|ssh|git)://([^/?#@]*@)?${refusedHosts}([:/?#]|$)')`,
      message: refusedHostMessage,
      reason: 'FieldValueForbidden',
    },
  ],
  'git-branch': branch('spec.git.branch'),
  'git-auth-secret-ref': secretReference('spec.git.auth.secretRef'),
  'gitlab-target-branch': [
    {
      at: 'spec.gitlab.mergeRequest',
      expression: String.raw`!has(self.mode) || self.mode != 'merge_request' || (has(self.targetBranch) && self.targetBranch.matches(r'[^\s]'))`,
      message: 'merge requests need the branch that they are merged into, such as "main"',
      fieldPath: '.targetBranch',
      reason: 'FieldValueRequired',
    },
    ...branch('spec.gitlab.mergeRequest.targetBranch'),
  ],
  'gitlab-branch-prefix': branch('spec.gitlab.mergeRequest.branchPrefix'),
  'gitlab-secret-ref': [
    {
      at: 'spec',
      expression: `self.type != 'gitlab' || !has(self.gitlab) || !has(self.gitlab.mergeRequest) || !has(self.gitlab.mergeRequest.mode) || self.gitlab.mergeRequest.mode != 'merge_request' || has(self.secretRef)`,
      message: 'merge requests need a token; name the Secret that has it under token',
      fieldPath: '.secretRef',
      reason: 'FieldValueRequired',
    },
  ],
  'layout-path': [relativePath(rows)],
  'layout-path-placeholders': [knownPlaceholders(rows, rowPlaceholders)],
  'layout-path-identity': [{ at: rows, expression: `${isBlank} || ['{sourceName}', '{uid}', '{name}'].exists(p, self.contains(p))`, message: 'must contain {sourceName} or {uid}, so that rows do not overwrite each other' }],
  ...pathTemplate('layout-index-path', 'spec.layout.index.pathTemplate'),
  'http-headers-secret-ref': secretReference('spec.http.headersSecretRef'),
  'http-auth-secret-ref': secretReference('spec.http.auth.secretRef'),
  'http-signature-secret-ref': secretReference('spec.http.signature.secretRef'),
  'http-signature-header': [
    { at: 'spec.http.signature.header', expression: `self == '' || self.matches(r"^[A-Za-z0-9!#$%&'*+.^_\`|~-]+$")`, message: 'must be the name of a header: letters, digits and "-", such as X-Kollect-Signature' },
  ],
};
