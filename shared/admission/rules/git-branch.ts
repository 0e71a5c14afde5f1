import { unlessCredential } from '../credentials.ts';
import { invalid } from '../finding.ts';
import type { Report } from '../finding.ts';

/**
 * The short name of a branch that git can have, without what has a meaning of its own to it.
 *
 * @param field where it is written
 */
export function branchName(field: string, name: string | undefined, report: Report): void {
  const branch = name?.trim() ?? '';
  const problem = branch === '' ? undefined : branchProblem(branch);
  if (problem !== undefined) report(invalid(field, name, problem));
}

/** Why git, or a program that is given the name, would take it for something else. */
export function branchProblem(branch: string): string | undefined {
  const parts = branch.split('/');
  if (branch.startsWith('-')) return 'must not begin with "-", which begins an option';
  if (branch.startsWith('refs/')) return `must be the short name of a branch, without refs/heads/${shortName(branch)}`;
  if (branch.includes('..')) return 'must not contain "..", which is a range of commits';
  if (branch.includes('@{') || branch === '@' || branch === 'HEAD') return 'must not be "@" or "HEAD", nor contain "@{": they stand for commits';
  if (branch.startsWith('/') || branch.endsWith('/') || branch.includes('//')) return 'must have no "/" at its ends, and none twice in a row';
  if (parts.some((part) => part.startsWith('.') || part.endsWith('.'))) return 'must have no part that begins or ends with "."';
  if (parts.some((part) => part.toLowerCase().endsWith('.lock'))) return 'must have no part that ends with ".lock", which git uses itself';
  if (!/^[A-Za-z0-9][A-Za-z0-9._/-]*$/.test(branch)) return 'must have letters, digits, ".", "_", "/" and "-" only, and begin with a letter or digit';
  return branch.length > maxLength ? `must have at most ${maxLength} characters` : undefined;
}

function shortName(ref: string): string {
  const [, short = ''] = /^refs\/(?:heads|remotes\/[^/]+)\/(.+)$/.exec(ref) ?? [];
  return short === '' || branchProblem(short) !== undefined ? '' : unlessCredential(short, `; write ${JSON.stringify(short)}`);
}

/** A branch is a file name at many servers. */
const maxLength = 250;
