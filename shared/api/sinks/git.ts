import { z } from 'zod';
import { SecretReference } from '../meta.ts';
import { bounds, text } from '../text.ts';
import type { SinkTypeFacts } from '../sink-types.ts';

/** Settings of the type git. */
export const GitSettings = z.object({
  branch: text.optional().meta({ description: 'Branch to write to; that of #branch= in the endpoint, else main, when unset.' }),
  pushPolicy: z.enum(['Commit', 'ForcePush']).optional().meta({ description: 'Commit adds to the history, ForcePush rewrites it. Commit when unset.' }),
  auth: z
    .object({
      type: z.enum(['token', 'ssh']).optional().meta({ description: 'token for http and https, ssh for ssh; told by the endpoint when unset.' }),
      secretRef: SecretReference.optional().meta({ description: 'Secret with username and token (or password), or with ssh-privatekey (or identity, id_rsa) and known_hosts; spec.secretRef when unset.' }),
    })
    .optional()
    .meta({ description: 'How to log in.' }),
  commitMessage: text
    .optional()
    .meta({ description: 'First line of a commit; {cluster}, {namespace}, {name}, {generation}, {exportGeneration}, {itemCount}, {checksum}, {checksumShort}, {exportedAt}, {sink} and {path} are replaced.' }),
  commitBody: text.optional().meta({ description: 'Further text of a commit, with the same placeholders.' }),
  commitTrailers: z.array(text).max(bounds.shortList).optional().meta({ description: 'Trailers of a commit such as "Signed-off-by: …", with the same placeholders.', 'x-kubernetes-list-type': 'atomic' }),
  author: z
    .object({
      name: text.optional().meta({ description: 'Name of the author; kollect when unset.' }),
      email: text.optional().meta({ description: 'Address of the author; kollect@kollect.dev when unset.' }),
    })
    .optional()
    .meta({ description: 'Author of the commits.' }),
  cloneDepth: z.number().int().min(1).optional().meta({ description: 'Commits that are fetched; 1 when unset.', format: 'int32' }),
  prune: z.boolean().optional().meta({ description: 'Remove files of the inventory that are not written any more; always on for the layouts perResource and split.' }),
  engine: z.enum(['go-git', 'cli']).optional().meta({ description: 'Accepted for compatibility, without effect: the git program is used.' }),
  forceBasicAuth: z.boolean().optional().meta({ description: 'Send credentials with the first request, for servers that do not ask for them.' }),
});
export type GitSettings = z.infer<typeof GitSettings>;

/** Settings of the type gitlab. */
export const GitLabSettings = z.object({
  mergeRequest: z
    .object({
      mode: z.enum(['direct', 'merge_request']).optional().meta({ description: 'direct pushes to the branch, merge_request opens a merge request. direct when unset.' }),
      targetBranch: text.optional().meta({ description: 'Branch to merge into; required for merge_request.' }),
      branchPrefix: text.optional().meta({ description: 'Begin of the source branch <prefix>/<namespace>/<name>; kollect when unset.' }),
      titleTemplate: text.optional().meta({ description: 'Title; {namespace} and {name} are replaced.' }),
      autoMerge: z.boolean().optional().meta({ description: 'Merge when the pipeline succeeds.' }),
    })
    .optional()
    .meta({ description: 'Whether exports are reviewed.' }),
});
export type GitLabSettings = z.infer<typeof GitLabSettings>;

/** `pushOptions` is a list with commas, such as `ci.skip`, that the server is sent with each push. */
export const gitOptions = ['pushOptions'] as const;

export const git = {
  family: 'snapshot',
  block: 'git',
  settings: GitSettings,
  about: 'Settings of type git.',
  isBlockRequired: false,
  formats: ['yaml', 'json', 'ndjson'],
  compressions: ['none', 'gzip', 'zstd'],
  options: gitOptions,
  hasLayout: true,
  isBuilt: true,
} as const satisfies SinkTypeFacts;

export const gitlab = {
  family: 'snapshot',
  block: 'gitlab',
  settings: GitLabSettings,
  about: 'Settings of type gitlab.',
  isBlockRequired: false,
  formats: ['yaml', 'json', 'ndjson'],
  compressions: ['none', 'gzip', 'zstd'],
  options: gitOptions,
  hasLayout: true,
  isBuilt: false,
} as const satisfies SinkTypeFacts;
