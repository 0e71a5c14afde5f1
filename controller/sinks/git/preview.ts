import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import type { BackendPreview, PreviewSample } from '../contract.ts';
import { previewFiles } from '../documents/preview-files.ts';
import { exportMessage } from './message.ts';
import { namedChanges, WrittenRows } from './changes.ts';

/** The files of a first export, and the commit that brings them. */
export async function previewCommit(spec: KollectSnapshotSinkSpec, sample: PreviewSample): Promise<BackendPreview> {
  const { identity, rows, after, exportedAt, sink } = sample;
  const { added, ...none } = namedChanges((await new WrittenRows().compare([rows], undefined)).changes);
  const changes = { ...none, added: { ...added, count: after.rows } };
  const message = exportMessage({ spec, sink, identity }, { rows: after.rows, digest: after.digest, exportedAt }, changes, { after, installation: undefined }).trimEnd();
  const [subject = ''] = message.split('\n', 1);
  return { ...(await previewFiles(spec, sample)), git: { sampleCommitSubject: subject, sampleCommitBody: message.slice(subject.length).trimStart() } };
}
