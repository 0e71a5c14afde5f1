import { z } from 'zod';
import { SecretReference } from '../meta.ts';

export const GitSettings = z.object({
  branch: z.string().optional().meta({ description: 'Branch; the #branch= of the endpoint, else main.' }),
  pushPolicy: z.enum(['Commit', 'ForcePush']).optional().meta({ description: 'Add commits, or rewrite the history.' }),
  auth: z
    .object({
      type: z.enum(['token', 'ssh']).optional().meta({ description: 'Kind of credentials; told by the scheme when unset.' }),
      secretRef: SecretReference.optional().meta({ description: 'Secret with the credentials; spec.secretRef when unset.' }),
    })
    .optional()
    .meta({ description: 'Login.' }),
  commitMessage: z.string().optional().meta({ description: 'First line of the commit.' }),
  commitBody: z.string().optional().meta({ description: 'Body of the commit.' }),
  commitTrailers: z.array(z.string()).optional().meta({ description: 'Trailers of the commit.', 'x-kubernetes-list-type': 'atomic' }),
  author: z
    .object({ name: z.string().optional().meta({ description: 'Name.' }), email: z.string().optional().meta({ description: 'Address.' }) })
    .optional()
    .meta({ description: 'Author of the commits.' }),
  cloneDepth: z.number().int().min(1).optional().meta({ description: 'Depth of the clone.', format: 'int32' }),
  prune: z.boolean().optional().meta({ description: 'Remove files that are not written any more.' }),
  engine: z.enum(['go-git', 'cli']).optional().meta({ description: 'Kept for compatibility; the git program is used.' }),
  forceBasicAuth: z.boolean().optional().meta({ description: 'Send credentials without being asked.' }),
});

export const GitLabSettings = z.object({
  mergeRequest: z
    .object({
      mode: z.enum(['direct', 'merge_request']).optional().meta({ description: 'Push to the branch, or open a merge request.' }),
      targetBranch: z.string().optional().meta({ description: 'Branch to merge into.' }),
      branchPrefix: z.string().optional().meta({ description: 'Prefix of the source branch; kollect when unset.' }),
      titleTemplate: z.string().optional().meta({ description: 'Title; {namespace} and {name} are replaced.' }),
      autoMerge: z.boolean().optional().meta({ description: 'Merge when the pipeline succeeds.' }),
    })
    .optional()
    .meta({ description: 'Merge requests.' }),
});
