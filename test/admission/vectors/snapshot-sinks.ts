import { each, errors, sinkVector, warnings } from './sink-objects.ts';
import type { Vector } from './vector.ts';

const git = (more: Record<string, unknown>) => ({ git: more });
const layout = (more: Record<string, unknown>) => ({ layout: more });
const mergeRequest = (more: Record<string, unknown>) => ({ gitlab: { mergeRequest: more }, secretRef: { name: 'gitlab' } });
const rowPath = '{cluster}/{sourceNamespace}/{kind}/{sourceName}{extension}';

/** Git, GitLab, object stores and http, beside where they point to. */
export const snapshotSinkVectors: readonly Vector[] = [
  sinkVector('git', 'no block', {}, { stored: { git: {} } }),
  sinkVector('git', 'no format', { serialization: undefined }, { warnings: ['spec.serialization.format'], says: ['writes yaml'] }),
  sinkVector('gitlab', 'no format but a compression', { serialization: { compression: 'none' } }, warnings('spec.serialization.format')),
  sinkVector('git', 'a path of json while it writes yaml', { pathTemplate: 'clusters/{cluster}/inventory/{namespace}/{name}.json' }, { warnings: ['spec.pathTemplate'], says: ['write {extension}'] }),
  sinkVector('gitlab', 'a path of json while it writes the default', { serialization: undefined, pathTemplate: '{namespace}/{name}.json' }, warnings('spec.pathTemplate', 'spec.serialization.format')),
  sinkVector('git', 'a path of json, and json', { serialization: { format: 'json' }, pathTemplate: '{namespace}/{name}.json' }),
  sinkVector('git', 'a path of yml, and yaml', { pathTemplate: '{namespace}/{name}.yml' }),
  sinkVector('s3', 'a path of csv while it writes json', { pathTemplate: '{namespace}/{name}.csv' }, warnings('spec.pathTemplate')),

  // Branches.
  ...each('git', 'the branch', ['main', 'feature/x-1.2', 'a', 'v1.0_x', 'Release/2026', ''], (branch) => git({ branch })),
  ...each('git', 'the branch', ['-evil', 'branch.lock', 'x.lock/y', 'x.LOCK/y', 'branch.', 'a@{b}', '@', 'HEAD', 'refs/heads/x', 'a..b', '.hid', 'a/.b', 'a./b', 'a b', 'a//b', '/a', 'a/', 'a~1', 'a^', 'a:b', 'a?', 'a*', 'a[b', String.raw`a\b`, 'ä', 'a'.repeat(251)], (branch) => git({ branch }), errors('spec.git.branch')),
  sinkVector('git', 'the branch as a full reference', git({ branch: 'refs/heads/team/x' }), { errors: ['spec.git.branch'], says: ['without refs/heads/; write "team/x"'] }),
  sinkVector('git', 'the branch in the endpoint', { endpoint: 'https://git.example.com/r.git#branch=inventory' }),
  sinkVector('git', 'two branches', { endpoint: 'https://git.example.com/r.git#branch=inventory', git: { branch: 'main' } }, { warnings: ['spec.endpoint'], says: ['spec.git.branch names the branch'] }),
  ...each('git', 'the branch behind the endpoint', ['a..b', '-x', '', 'x.lock'], (branch) => ({ endpoint: `https://git.example.com/r.git#branch=${branch}` }), errors('spec.endpoint')),
  sinkVector('gitlab', 'a bad branch behind the endpoint', { endpoint: 'https://gitlab.example.com/g/p.git#branch=a..b' }, errors('spec.endpoint')),

  // Other settings of git.
  sinkVector('git', 'all of its settings', git({ branch: 'main', pushPolicy: 'Commit', auth: { type: 'token', secretRef: { name: 'git' } }, commitMessage: 'chore({cluster}/{namespace}/{name}): {itemCount} items @ {checksumShort}', commitBody: '{exportedAt} {sink}\n{path} {checksum} {generation} {exportGeneration}', commitTrailers: ['Signed-off-by: Kollect <kollect@example.com>', 'Inventory: {namespace}/{name}'], author: { name: 'kollect', email: 'kollect@example.com' }, cloneDepth: 5, prune: true, forceBasicAuth: false })),
  sinkVector('git', 'history that is rewritten', git({ pushPolicy: 'ForcePush' }), { warnings: ['spec.git.pushPolicy'], says: ['history'] }),
  sinkVector('git', 'an engine', git({ engine: 'cli' }), { warnings: ['spec.git.engine'], says: ['no effect'] }),
  sinkVector('git', 'a push policy that does not exist', git({ pushPolicy: 'squash' }), { errors: ['spec.git.pushPolicy'], says: ['supported values: "Commit", "ForcePush"'] }),
  sinkVector('git', 'a push policy in small letters', git({ pushPolicy: 'forcepush' }), { errors: ['spec.git.pushPolicy'], says: ['did you mean "ForcePush"?'] }),
  sinkVector('git', 'a login that does not exist', git({ auth: { type: 'basic' } }), errors('spec.git.auth.type')),
  sinkVector('git', 'an engine that does not exist', git({ engine: 'libgit2' }), errors('spec.git.engine')),
  sinkVector('git', 'no depth', git({ cloneDepth: 0 }), { errors: ['spec.git.cloneDepth'], says: ['at least 1'] }),
  sinkVector('git', 'a Secret without a name', git({ auth: { secretRef: { name: '' } } }), { errors: ['spec.git.auth.secretRef.name'], says: ['Required value'] }),
  sinkVector('git', 'a Secret with a blank name', git({ auth: { secretRef: { name: ' ' } } }), errors('spec.git.auth.secretRef.name')),
  sinkVector('git', 'a key for https', git({ auth: { type: 'ssh' } }), { errors: ['spec.git.auth.type'], says: ['write token'] }),
  sinkVector('git', 'a token for ssh', { endpoint: 'git@git.example.com:r.git', git: { auth: { type: 'token' } } }, { errors: ['spec.git.auth.type'], says: ['write ssh'] }),
  sinkVector('git', 'a key for ssh', { endpoint: 'ssh://git@git.example.com/r.git', git: { auth: { type: 'ssh' } } }),
  sinkVector('git', 'a commit message with an unknown placeholder', git({ commitMessage: '{namespace}: {itemcount}' }), { errors: ['spec.git.commitMessage'], says: ['did you mean {itemCount}?'] }),
  sinkVector('git', 'a commit message with a brace', git({ commitMessage: 'items } {name' }), errors('spec.git.commitMessage')),
  sinkVector('git', 'a commit message of two lines', git({ commitMessage: 'one\ntwo' }), { errors: ['spec.git.commitMessage'], says: ['spec.git.commitBody'] }),
  sinkVector('git', 'a commit body with an unknown placeholder', git({ commitBody: '{uid}' }), errors('spec.git.commitBody')),
  sinkVector('git', 'trailers that are none', git({ commitTrailers: ['Signed-off-by: x <x@example.com>', 'no key', 'Key:', 'A: b\nC: d', 'A: {nope}'] }), errors('spec.git.commitTrailers[1]', 'spec.git.commitTrailers[2]', 'spec.git.commitTrailers[3]', 'spec.git.commitTrailers[4]')),
  sinkVector('git', 'an author who brings more than a name', git({ author: { name: 'a <b@example.com>\nx', email: 'nobody' } }), errors('spec.git.author.email', 'spec.git.author.name')),

  // Options of object stores.
  sinkVector('s3', 'all of its options', { options: { region: 'us-east-1', storageClass: 'STANDARD_IA', sse: 'aws:kms', sseKmsKeyId: 'key-1', forcePathStyle: ' True ' } }),
  sinkVector('s3', 'options that it cannot have', { options: { storageClass: 'COLD', sse: 'kms', forcePathStyle: 'yes' } }, errors('spec.options[forcePathStyle]', 'spec.options[sse]', 'spec.options[storageClass]')),
  sinkVector('s3', 'a key without its encryption', { options: { sse: 'AES256', sseKmsKeyId: 'k' } }, { errors: ['spec.options[sse]'], says: ['write aws:kms'] }),
  sinkVector('gcs', 'a storage class in small letters', { options: { storageClass: 'nearline' } }),
  sinkVector('gcs', 'a storage class that does not exist', { options: { storageClass: 'COLD' } }, { errors: ['spec.options[storageClass]'], says: ['STANDARD, NEARLINE, COLDLINE, ARCHIVE'] }),
  sinkVector('azureblob', 'a tier in small letters', { options: { accessTier: 'cool' } }),
  sinkVector('azureblob', 'a tier that does not exist', { options: { accessTier: 'Warm' } }, errors('spec.options[accessTier]')),

  // Merge requests.
  sinkVector('gitlab', 'merge requests', mergeRequest({ mode: 'merge_request', targetBranch: 'main', branchPrefix: 'kollect/inventory', titleTemplate: 'Inventory {namespace}/{name}', autoMerge: true })),
  sinkVector('gitlab', 'merge requests without a target', mergeRequest({ mode: 'merge_request' }), { errors: ['spec.gitlab.mergeRequest.targetBranch'], says: ['Required value'] }),
  sinkVector('gitlab', 'merge requests with a blank target', mergeRequest({ mode: 'merge_request', targetBranch: ' ' }), errors('spec.gitlab.mergeRequest.targetBranch')),
  sinkVector('gitlab', 'merge requests without a token', { gitlab: { mergeRequest: { mode: 'merge_request', targetBranch: 'main' } } }, { errors: ['spec.secretRef'], says: ['token'] }),
  sinkVector('gitlab', 'pushed directly', mergeRequest({ mode: 'direct' })),
  sinkVector('gitlab', 'a mode that does not exist', mergeRequest({ mode: 'merge-request' }), { errors: ['spec.gitlab.mergeRequest.mode'], says: ['did you mean "merge_request"?'] }),
  sinkVector('gitlab', 'a target and a prefix that no branch can have', mergeRequest({ mode: 'direct', targetBranch: 'refs/heads/main', branchPrefix: 'kollect//x' }), errors('spec.gitlab.mergeRequest.branchPrefix', 'spec.gitlab.mergeRequest.targetBranch')),
  sinkVector('gitlab', 'a title with an unknown placeholder', mergeRequest({ titleTemplate: '{cluster}: {name}' }), { errors: ['spec.gitlab.mergeRequest.titleTemplate'], says: ['known are {namespace} {name}'] }),
  sinkVector('gitlab', 'a title of two lines', mergeRequest({ titleTemplate: '{name}\nx' }), errors('spec.gitlab.mergeRequest.titleTemplate')),

  // Layouts.
  sinkVector('git', 'an empty layout', layout({})),
  sinkVector('git', 'a layout that sets only file names', layout({ filename: { lowercaseKind: false } }), { stored: { layout: { filename: { lowercaseKind: false } } } }),
  sinkVector('git', 'a file for each row', layout({ mode: 'perResource' }), { warnings: ['spec.layout.mode'], says: ['removed'] }),
  sinkVector('gitlab', 'a file for each row and an index', layout({ mode: 'split', content: 'attributes' }), warnings('spec.layout.mode')),
  sinkVector('git', 'all of a layout', layout({ mode: 'perResource', content: 'manifest', pathTemplate: rowPath, index: { pathTemplate: 'inventory/{namespace}/{name}{extension}' }, filename: { groupInPath: 'auto', maxSegmentLength: 40 } }), { warnings: ['spec.layout.content', 'spec.layout.mode'], says: ['export.mode Resource'] }),
  ...each('git', 'the path of rows', [rowPath, '{uid}', ' {targetNamespace}/{targetName}/{group}/{sourceName}-{generation}.yaml '], (pathTemplate) => layout({ pathTemplate })),
  sinkVector('git', 'the path of rows with a slip', layout({ pathTemplate: '{cluster}/{sourcename}' }), { errors: ['spec.layout.pathTemplate', 'spec.layout.pathTemplate'], says: ['did you mean {sourceName}?', 'must contain {sourceName} or {uid}'] }),
  ...each('git', 'the path of rows', ['{cluster}/{bogus}/{sourceName}', '{cluster}/{kind}', '../{sourceName}', '/{sourceName}', '{kind}//{sourceName}', '{sourceName}/', '.git/{sourceName}', String.raw`{kind}\{sourceName}`, '{sourceName'], (pathTemplate) => layout({ pathTemplate }), errors('spec.layout.pathTemplate')).map((vector) => (vector.name.includes('{sourceName"') ? { ...vector, errors: ['spec.layout.pathTemplate', 'spec.layout.pathTemplate'] } : vector)),
  sinkVector('git', 'the path of rows with the name of the inventory only', layout({ pathTemplate: '{namespace}/{name}{extension}' }), { warnings: ['spec.layout.pathTemplate'], says: ['write {sourceName}'] }),
  sinkVector('git', 'the path of rows with the name of the inventory only, climbing', layout({ pathTemplate: '../{name}' }), { errors: ['spec.layout.pathTemplate'], warnings: ['spec.layout.pathTemplate'] }),
  ...each('git', 'the path of the index', ['/{namespace}/{name}', '{namespace}/../{name}', '{namespace}/{name}/{sourceName}'], (pathTemplate) => layout({ index: { pathTemplate } }), errors('spec.layout.index.pathTemplate')),
  sinkVector('git', 'the path of the index without a namespace', layout({ index: { pathTemplate: '{name}' } }), errors('spec.layout.index.pathTemplate')),
  sinkVector('git', 'one path for rows and index', layout({ mode: 'split', pathTemplate: '{namespace}/{name}/{uid}', index: { pathTemplate: '{namespace}/{name}/{uid}' } }), { errors: ['spec.layout.index.pathTemplate', 'spec.layout.index.pathTemplate'], warnings: ['spec.layout.mode'], says: ['the index would overwrite'] }),
  sinkVector('git', 'rows at the path of the index', layout({ mode: 'split', pathTemplate: 'inventory/{namespace}/{name}{extension}' }), { errors: ['spec.layout.index.pathTemplate'], warnings: ['spec.layout.mode', 'spec.layout.pathTemplate'] }),
  sinkVector('git', 'file names that do not exist', layout({ filename: { groupInPath: 'sometimes', maxSegmentLength: 0 } }), errors('spec.layout.filename.groupInPath', 'spec.layout.filename.maxSegmentLength')),
  sinkVector('git', 'a mode and a content that do not exist', layout({ mode: 'PerResource', content: 'manifests' }), { errors: ['spec.layout.content', 'spec.layout.mode'], says: ['did you mean "perResource"?', 'did you mean "manifest"?'] }),

  // Object stores.
  sinkVector('s3', 'the older name of the format', { objectStore: { format: 'json' } }),
  sinkVector('s3', 'parquet', { serialization: { format: 'parquet', compression: 'zstd' }, objectStore: { hotAttributes: ['image'] } }, { warnings: ['spec.serialization.format'], says: ['hotAttributes'] }),
  sinkVector('gcs', 'parquet by the older name', { objectStore: { format: 'parquet' } }, warnings('spec.objectStore.format')),
  sinkVector('azureblob', 'parquet', { serialization: { format: 'parquet' } }, warnings('spec.serialization.format')),
  sinkVector('s3', 'two names of the format', { serialization: { format: 'json' }, objectStore: { format: 'parquet' } }, { warnings: ['spec.objectStore.format'], says: ['spec.serialization.format says json'] }),
  sinkVector('s3', 'a compression beside the older name of the format', { serialization: { compression: 'gzip' }, objectStore: { format: 'json' } }),
  sinkVector('s3', 'parquet with a path of its own', { serialization: { format: 'parquet' }, pathTemplate: '{namespace}/{name}.json' }, warnings('spec.serialization.format')),

  // http.
  sinkVector('http', 'all of its settings', { http: { method: 'PUT', headersSecretRef: { name: 'headers' }, auth: { type: 'bearer', secretRef: { name: 'token', namespace: 'kollect-system' } }, signature: { algorithm: 'hmac-sha512', header: 'X-Hub-Signature-256', secretRef: { name: 'signature' } } } }),
  sinkVector('http', 'a method that cannot write', { http: { method: 'GET' } }, { errors: ['spec.http.method'], says: ['"POST", "PUT", "PATCH"'] }),
  sinkVector('http', 'a method in small letters', { http: { method: 'post' } }, { errors: ['spec.http.method'], says: ['did you mean "POST"?'] }),
  sinkVector('http', 'Secrets without names', { http: { headersSecretRef: { name: ' ' }, auth: { secretRef: { name: 'a/b' } }, signature: { secretRef: { name: 'X' } } } }, errors('spec.http.auth.secretRef.name', 'spec.http.headersSecretRef.name', 'spec.http.signature.secretRef.name')),
  ...each('http', 'the header of the signature', ['Content-Length', 'host', 'Authorization', 'X Signature', 'X-Sig:', 'X\r\nY'], (header) => ({ http: { signature: { header, secretRef: { name: 's' } } } }), errors('spec.http.signature.header')),
];
