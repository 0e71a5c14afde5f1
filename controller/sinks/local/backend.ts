import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { KollectError } from '../../../shared/errors.ts';
import { serializationOf } from '../../../shared/layout/serialization.ts';
import { layoutOf, type LaidOutSpec } from '../../../shared/layout/layout.ts';
import type { Backend, CheckResult, HeldRow, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import { InventoryFiles, type FilesPlan, type PlannedFile } from '../documents/inventory-files.ts';
import { previewFiles } from '../documents/preview-files.ts';
import { commitMs } from '../runtime/deadline.ts';
import { fileError, Folder } from './folder.ts';

/** Settings as git has them, where they concern files. */
export interface LocalSpec extends LaidOutSpec {
  type: string;
  /** The folder; created with the first export. */
  endpoint: string;
}

/** Files of a folder of this machine, laid out as in a repository. For the command line only: no sink object has this type. */
export const local: Backend<LocalSpec> = {
  type: 'local',
  family: 'snapshot',
  // Rows are never larger than what is collected, and a file may be of any size.
  capabilities: { granularity: 'document', concurrency: 1 },
  refusesLateWrites: () => false,
  destination: ({ spec }) => JSON.stringify([resolve(spec.endpoint), layoutOf(spec)]),
  place: ({ spec }) => `folder ${resolve(spec.endpoint)}`,
  server: ({ spec }) => resolve(spec.endpoint),
  secretRef: () => undefined,
  open: async (context) => new LocalSink(context),
  preview: (spec, sample) => previewFiles({ ...spec, type: 'git' }, sample),
};

class LocalSink implements Sink {
  readonly #context: OpenContext<LocalSpec>;
  readonly #folder: Folder;
  readonly #files: InventoryFiles;

  constructor(context: OpenContext<LocalSpec>) {
    const { spec, installation } = context;
    const { format } = serializationOf({ ...spec, type: 'git' });
    if (format === 'parquet' || format === 'csv') throw new KollectError('KOL_SINK_CONFIG', `files cannot be written as ${format}: write yaml, json or ndjson`);
    this.#context = context;
    this.#folder = new Folder(resolve(spec.endpoint));
    // Whatever git leaves open is left open here.
    this.#files = new InventoryFiles({ ...spec, type: 'git' }, installation);
  }

  async probe(): Promise<ProbeResult> {
    const { root } = this.#folder;
    for (let folder = root; ; folder = dirname(folder)) {
      try {
        await access(folder, constants.W_OK);
        return { message: folder === root ? `folder ${root} can be written` : `folder ${root} can be created` };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || folder === dirname(folder)) throw fileError(error);
      }
    }
  }

  async check(identity: InventoryIdentity): Promise<CheckResult> {
    return { rows: await this.#rows(identity), digest: undefined };
  }

  held(identity: InventoryIdentity): AsyncIterable<HeldRow> {
    return this.#files.held(identity, this.#folder);
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { upsertCount, completeTargets, knownTargets } = change;
    if (upsertCount + completeTargets.length === 0 && knownTargets === undefined) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    const heldRows = change.staleLimit && !change.since ? await this.#rows(change.identity) : undefined;
    return await this.#files.write({ change, store: this.#folder, heldRows, exportedAt: new Date() }, (plan) => this.#carryOut(plan, signal));
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    const paths = await this.#files.owned(identity, this.#folder, isOwn);
    const deleted = paths.length === 0 ? 0 : await this.#rows(identity);
    for (const path of paths) {
      begin(signal);
      await this.#folder.remove(path);
    }
    return { deleted };
  }

  async close(): Promise<void> {}

  async #carryOut(plan: FilesPlan, signal: AbortSignal): Promise<WriteResult> {
    const { confirmed, rejected, held, mode } = plan;
    const result = { confirmed, written: 0, deleted: 0, bytes: 0, rejected, held };
    if (held > 0) return { ...result, confirmed: 0 };
    const put = async ({ path, bytes }: PlannedFile): Promise<boolean> => {
      begin(signal);
      this.#context.fence(commitMs);
      const size = await this.#folder.write(path, bytes);
      result.bytes += size;
      return size > 0;
    };
    for await (const file of plan.files) if (await put(file)) result.written += file.row ? 1 : mode === 'document' ? confirmed : 0;
    for (const path of plan.removes) {
      begin(signal);
      if (await this.#folder.remove(path)) result.deleted++;
    }
    if (plan.manifest) await put(plan.manifest);
    return result;
  }

  async #rows(identity: InventoryIdentity): Promise<number> {
    return await this.#files.rows(identity, this.#folder);
  }
}

function begin(signal: AbortSignal): void {
  if (signal.aborted) throw new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
}
