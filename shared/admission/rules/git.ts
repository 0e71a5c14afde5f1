import type { KollectSnapshotSinkSpec } from '../../api/kollect-snapshot-sink.ts';
import { parseGitEndpoint } from '../../api/sinks/git-endpoint.ts';
import type { GitEndpoint } from '../../api/sinks/git-endpoint.ts';
import { KollectError } from '../../errors.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { shown } from './endpoint.ts';
import { branchName, branchProblem } from './git-branch.ts';
import { secretReference } from './names.ts';
import { knownPlaceholders } from './path-template.ts';
import { effectless } from './sink.ts';
import { isSet } from '../../values.ts';

type Input = RuleInput<KollectSnapshotSinkSpec>;

/** What git, and GitLab through it, need to know. */
export const gitRules: readonly Rule<KollectSnapshotSinkSpec>[] = [
  { id: 'git-endpoint-branch', field: 'spec.endpoint', asks: 'A branch behind #branch= must be one that git can have.', check: endpointBranch },
  effectless('git-endpoint-branch-effect', 'spec.endpoint', 'The branch behind #branch= has no effect beside spec.git.branch.', ({ spec }) => (isSet(spec.git?.branch) && gitEndpoint(spec)?.branch !== undefined ? 'spec.git.branch names the branch; remove #branch= from the endpoint' : undefined)),
  { id: 'git-branch', field: 'spec.git.branch', asks: 'Must be the short name of a branch that git can have.', check: ({ spec }, report) => branchName('spec.git.branch', spec.git?.branch, report) },
  { id: 'git-push-policy', field: 'spec.git.pushPolicy', asks: 'ForcePush rewrites the history of the branch.', advises: true, check: pushPolicy },
  { id: 'git-auth-type', field: 'spec.git.auth.type', asks: 'Must fit the endpoint: ssh for ssh, token for http and https.', check: authType },
  { id: 'git-auth-secret-ref', field: 'spec.git.auth.secretRef', asks: 'Must name a Secret.', check: ({ spec }, report) => secretReference('spec.git.auth.secretRef', spec.git?.auth?.secretRef, report) },
  { id: 'git-commit-message', field: 'spec.git.commitMessage', asks: 'Must be one line with known placeholders.', check: commitMessage },
  { id: 'git-commit-body', field: 'spec.git.commitBody', asks: 'Must have known placeholders only.', check: ({ spec }, report) => commitText('spec.git.commitBody', spec.git?.commitBody, report) },
  { id: 'git-commit-trailers', field: 'spec.git.commitTrailers[]', asks: 'Must be lines such as "Signed-off-by: …" with known placeholders.', check: commitTrailers },
  { id: 'git-author', field: 'spec.git.author', asks: 'Must have a name and an address without line breaks, "<" and ">".', check: author },
  effectless('git-engine', 'spec.git.engine', 'Has no effect.', ({ spec }) => (spec.git?.engine === undefined ? undefined : 'the git program is used in every case')),
  { id: 'gitlab-target-branch', field: 'spec.gitlab.mergeRequest.targetBranch', asks: 'Must be the name of a branch; merge requests need it.', check: targetBranch },
  { id: 'gitlab-branch-prefix', field: 'spec.gitlab.mergeRequest.branchPrefix', asks: 'Must be what the name of a branch can begin with.', check: ({ spec }, report) => branchName('spec.gitlab.mergeRequest.branchPrefix', spec.gitlab?.mergeRequest?.branchPrefix, report) },
  { id: 'gitlab-title-template', field: 'spec.gitlab.mergeRequest.titleTemplate', asks: 'May hold {namespace} and {name}, and no other placeholders.', check: titleTemplate },
  { id: 'gitlab-secret-ref', field: 'spec.secretRef', asks: 'Merge requests need a Secret with a token.', check: mergeRequestSecret },
];

/** The endpoint of a sink of git, when it can be read. */
function gitEndpoint({ type, endpoint }: Input['spec']): GitEndpoint | undefined {
  if ((type !== 'git' && type !== 'gitlab') || endpoint === undefined) return undefined;
  try {
    return parseGitEndpoint(endpoint);
  } catch (error) {
    if (error instanceof KollectError) return undefined;
    throw error;
  }
}

function endpointBranch({ spec }: Input, report: Report): void {
  const branch = gitEndpoint(spec)?.branch;
  if (branch === undefined) return;
  const problem = branch.trim() === '' ? 'must name a branch' : branchProblem(branch);
  if (problem !== undefined) report(invalid('spec.endpoint', shown(spec.endpoint ?? ''), `the branch behind #branch= ${problem}`));
}

function pushPolicy({ spec }: Input, report: Report): void {
  if (spec.git?.pushPolicy === 'ForcePush') report(warning('spec.git.pushPolicy', 'ForcePush rewrites the history of the branch: commits of others on it are lost'));
}

function authType({ spec }: Input, report: Report): void {
  const type = spec.git?.auth?.type;
  const scheme = gitEndpoint(spec)?.scheme;
  if (type === undefined || scheme === undefined) return;
  const fitting = scheme === 'ssh' ? 'ssh' : 'token';
  if (type !== fitting) report(invalid('spec.git.auth.type', type, `the endpoint is one of ${scheme}; write ${fitting}, or leave the field out`));
}

/** What stands for something in the texts of a commit. */
const commitPlaceholders: ReadonlySet<string> = new Set(['cluster', 'namespace', 'name', 'generation', 'exportGeneration', 'itemCount', 'checksum', 'checksumShort', 'exportedAt', 'sink', 'path']);
const titlePlaceholders: ReadonlySet<string> = new Set(['namespace', 'name']);

function commitMessage({ spec }: Input, report: Report): void {
  const message = spec.git?.commitMessage;
  commitText('spec.git.commitMessage', message, report);
  if (message !== undefined && /[\r\n]/.test(message.trim())) report(invalid('spec.git.commitMessage', message, 'must be one line; write further text into spec.git.commitBody'));
}

function commitText(field: string, template: string | undefined, report: Report): void {
  if (template === undefined) return;
  knownPlaceholders(field, template, commitPlaceholders, report);
  if (template.includes('\0')) report(invalid(field, template, 'must not contain null characters'));
}

function commitTrailers({ spec }: Input, report: Report): void {
  for (const [index, trailer] of (spec.git?.commitTrailers ?? []).entries()) {
    const field = `spec.git.commitTrailers[${index}]`;
    if (trailer === undefined) continue;
    const [key = ''] = /^[A-Za-z0-9-]+[ \t]*:/.exec(trailer) ?? [];
    if (key === '' || trailer.slice(key.length).trim() === '' || /[\r\n\0]/.test(trailer)) report(invalid(field, trailer, 'must be one line of a key, ":" and a value, such as "Signed-off-by: Jane Doe <jane@example.com>"'));
    else knownPlaceholders(field, trailer, commitPlaceholders, report);
  }
}

function author({ spec }: Input, report: Report): void {
  const { name, email } = spec.git?.author ?? {};
  if (name !== undefined && /[<>\p{Cc}]/u.test(name)) report(invalid('spec.git.author.name', name, 'must not contain line breaks, "<" or ">"; write a name such as "kollect"'));
  if (email !== undefined && email !== '' && !/^[^\s<>@\p{Cc}]+@[^\s<>@\p{Cc}]+$/u.test(email)) report(invalid('spec.git.author.email', email, 'must be an address such as "kollect@example.com"'));
}

function targetBranch({ spec }: Input, report: Report): void {
  const field = 'spec.gitlab.mergeRequest.targetBranch';
  const { mode, targetBranch: branch } = spec.gitlab?.mergeRequest ?? {};
  if (mode === 'merge_request' && !isSet(branch)) report(required(field, 'merge requests need the branch that they are merged into, such as "main"'));
  branchName(field, branch, report);
}

function titleTemplate({ spec }: Input, report: Report): void {
  const template = spec.gitlab?.mergeRequest?.titleTemplate;
  if (template === undefined) return;
  const field = 'spec.gitlab.mergeRequest.titleTemplate';
  knownPlaceholders(field, template, titlePlaceholders, report);
  if (/\p{Cc}/u.test(template)) report(invalid(field, template, 'must be one line'));
}

/** Projects can be cloned and even pushed to without a login, but never asked for a merge. */
function mergeRequestSecret({ spec }: Input, report: Report): void {
  if (spec.type === 'gitlab' && spec.gitlab?.mergeRequest?.mode === 'merge_request' && spec.secretRef === undefined) report(required('spec.secretRef', 'merge requests need a token; name the Secret that has it under token'));
}
