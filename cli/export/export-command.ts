import { pipeline } from 'node:stream/promises';
import { compareRows, compareSink, type RowChange } from '../../controller/once/compare-once.ts';
import { documentOf, rowsOf, writeOnce, type WriteOnceOptions } from '../../controller/once/write-once.ts';
import { collectOnce, type TargetNote } from '../../controller/once/collect-once.ts';
import { chooseInventory, needOneOfEachName, viewOf, type ChosenInventory } from '../../controller/once/chosen-inventory.ts';
import { ClusterSource } from '../../controller/once/cluster-source.ts';
import { DumpSource } from '../../controller/once/dump-source.ts';
import type { ObjectSource } from '../../controller/once/object-source.ts';
import { GivenObjects } from '../../controller/once/given-objects.ts';
import { chosenSinks, folderSink, openChosen, type ChosenSink } from '../../controller/once/chosen-sinks.ts';
import type { WriteResult } from '../../controller/sinks/contract.ts';
import { rowsOfDocument } from '../../controller/sinks/documents/held-rows.ts';
import { Folder } from '../../controller/sinks/local/folder.ts';
import { installationPolicy } from '../../shared/admission-flags.ts';
import { Dump } from '../../shared/dump/dump.ts';
import { KollectError } from '../../shared/errors.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { parseFlags, type FlagValues } from '../../shared/flags.ts';
import { KubeApiError, KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { findFiles } from '../../shared/lint/files.ts';
import { lint } from '../../shared/lint/lint.ts';
import { userAgent } from '../../shared/version.ts';
import type { ExitCode, Terminal } from '../command.ts';
import { textReport } from '../lint/text-report.ts';
import { destinationOf, type Destination } from './destination.ts';
import { about, exportFlags } from './flags.ts';
import { Progress } from './progress.ts';

type Options = FlagValues<typeof exportFlags>;

/** `kollect export`. Throws `KOL_CONFIG_FLAG` for a command line that cannot be used. */
export async function runExport(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const options = parseFlags(exportFlags, argv, { usage: 'kollect export [flags]', about });
  if (options.help !== undefined) {
    terminal.stdout.write(options.help);
    return 0;
  }
  const destination = destinationOf(options);
  if (options.diff && destination.kind === 'stdout' && options.sink.length === 0) throw new KollectError('KOL_CONFIG_FLAG', '--diff needs something to compare with: name a file or folder with --to, or a sink with --sink');
  const run = new ExportRun(options, destination, terminal);
  try {
    return await run.run();
  } catch (error) {
    if (error instanceof KollectError ? error.code === 'KOL_CONFIG_FLAG' : !(error instanceof KubeApiError)) throw error;
    run.say((error as Error).message);
    return 2;
  }
}

/** What is written, and what is left as it is. */
type Collected = Pick<WriteOnceOptions, 'view' | 'absent'>;

class ExportRun {
  readonly #options: Options;
  readonly #destination: Destination;
  readonly #terminal: Terminal;
  readonly #progress: Progress;

  constructor(options: Options, destination: Destination, terminal: Terminal) {
    this.#options = options;
    this.#destination = destination;
    this.#terminal = terminal;
    this.#progress = new Progress(terminal.stderr, !options.quiet);
  }

  async run(): Promise<ExitCode> {
    const { filename, namespace } = this.#options;
    const { files, skipped } = await findFiles(filename);
    if (!this.#options.quiet) for (const { name, why } of skipped) this.say(`note: ${name} is left out: ${why}`);
    using dump = await Dump.open(files, this.#terminal.stdin, (bytes) => this.#progress.show(`${Math.round(bytes / 1e6)} MB read`));
    const ours = this.#judge(dump);
    if (ours === undefined) return 2;
    const ofFiles = new DumpSource(dump, namespace);
    const { kubeconfig, context } = this.#options;
    if (kubeconfig === undefined && context === undefined && filename.length > 0) return await this.#export(new GivenObjects(ours), ofFiles);
    const client = new KubeClient(await loadConnection({ kubeconfig, context, environment: this.#terminal.env }), { userAgent: userAgent('export') });
    try {
      const cluster = new ClusterSource(client, new AbortController().signal);
      const isChosen = ours.some(({ kind }) => selecting.has(kind));
      const theirs = await cluster.kollectObjects((kind) => !isChosen || !selecting.has(kind), !isChosen);
      return await this.#export(new GivenObjects(ours, theirs), withSecretsOf(cluster, ofFiles));
    } finally {
      await client.close();
    }
  }

  say(message: string): void {
    this.#progress.clear();
    this.#terminal.stderr.write(`kollect export: ${message}\n`);
  }

  /** Kollect's objects, when nothing is wrong with them. */
  #judge({ sources }: Dump): KubeObject[] | undefined {
    const found = lint(sources, { installation: installationPolicy(this.#options), namespace: this.#options.namespace });
    const findings = found.findings.filter(({ severity }) => severity === 'error');
    if (findings.length === 0) return found.stored();
    this.#progress.clear();
    this.#terminal.stderr.write(textReport({ ...found, findings }, { hasColor: false }));
    return undefined;
  }

  async #export(given: GivenObjects, source: ObjectSource): Promise<ExitCode> {
    const { inventory: name, quiet } = this.#options;
    const inventory = chooseInventory(given, name);
    const scopes = given.scopes(this.#options['tenant-mode']);
    if (this.#options.diff || this.#options.sink.length > 0) needOneOfEachName(inventory);
    const sinks = chosenSinks(this.#options.sink, { given, scopes, inventory, policy: installationPolicy(this.#options).addresses, cluster: this.#options.cluster });
    const collected = await collectOnce({
      targets: inventory.targets,
      given,
      scopes,
      source,
      scrubKeys: this.#options['scrub-keys'],
      namespaceDefaults: { included: this.#options['default-included-namespaces'], excluded: this.#options['default-excluded-namespaces'] },
      onProgress: (objects, rows) => this.#progress.show(`${objects} objects, ${rows} rows`),
    });
    this.#progress.clear();
    const absent = this.#options['allow-deletes'] || (this.#destination.kind !== 'folder' && this.#options.sink.length === 0) ? new Map<string, never>() : collected.absent;
    if (!quiet) this.#tell(collected.notes, 'note: ');
    for (const [target, kinds] of absent) this.say(`warning: target ${target}: the objects hold no ${kinds.map(({ kind }) => kind).join(', ')}, and rows of it stay where they are; if the cluster has none, say so with --allow-deletes`);
    if (!quiet) this.#tell(collected.leftOut, 'left out: ');
    this.#tell(collected.errors, '');
    if (collected.errors.length > 0) return 2;
    const view = viewOf(inventory, collected);
    const differs = await this.#write({ view, absent }, inventory, sinks, source);
    return differs || absent.size > 0 || collected.leftOut.length > 0 ? 1 : 0;
  }

  #tell(notes: readonly TargetNote[], prefix: string): void {
    for (const { target, message } of notes) this.say(`${prefix}${target}: ${message}`);
  }

  /** True when a sink refused rows, and under `--diff` when something would change. */
  async #write(collected: Collected, inventory: ChosenInventory, sinks: readonly ChosenSink[], source: ObjectSource): Promise<boolean> {
    const { view } = collected;
    const destination = this.#destination;
    const { cluster, layout } = this.#options;
    const [first] = sinks;
    if (destination.kind === 'folder') {
      return await this.#writeTo(folderSink(destination.path, first, { serialization: destination.serialization, layout, cluster }), collected, inventory, source);
    }
    if (sinks.length > 0 && destination.kind === 'stdout') {
      let differs = false;
      for (const sink of sinks) differs = (await this.#writeTo(sink, collected, inventory, source)) || differs;
      return differs;
    }
    const identity = { ...inventory.identity, cluster: cluster ?? first?.object.spec.cluster?.trim() ?? '' };
    if (destination.kind === 'file') {
      const folder = new Folder(destination.folder);
      if (this.#options.diff) {
        const former = await folder.read(destination.name);
        const held = former === undefined ? [] : rowsOfDocument(destination.name, former, destination.serialization);
        return this.#tellChanges(await compareRows((await rowsOf(view)).rows, held), destination.name);
      }
      if (!this.#options['dry-run']) await folder.write(destination.name, documentOf(view, identity, destination.serialization, new Date()));
      return false;
    }
    if (!this.#options['dry-run']) await this.#print(documentOf(view, identity, destination.serialization, new Date()));
    return false;
  }

  /** True when there are some. */
  #tellChanges(changes: readonly RowChange[], place: string): boolean {
    const { stdout } = this.#terminal;
    for (const { change, targetName, kind, namespace, name } of changes) stdout.write(`${marks[change]} ${kind} ${namespace === '' ? '' : `${namespace}/`}${name} (${targetName})\n`);
    const count = (of: RowChange['change']): number => changes.filter(({ change }) => change === of).length;
    if (!this.#options.quiet) this.say(`${place}: ${count('added')} added, ${count('changed')} changed, ${count('removed')} removed`);
    return changes.length > 0;
  }

  async #print(bytes: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      await pipeline(bytes, this.#terminal.stdout, { end: false });
    } catch (error) {
      // Whoever reads has heard enough.
      if (!['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }

  async #writeTo(sink: ChosenSink, { view, absent }: Collected, inventory: ChosenInventory, source: ObjectSource): Promise<boolean> {
    const { quiet } = this.#options;
    const opened = await openChosen(sink, { source, policy: installationPolicy(this.#options).addresses });
    try {
      const identity = { ...inventory.identity, cluster: sink.object.spec.cluster?.trim() ?? '' };
      const { signal } = new AbortController();
      if (this.#options.diff) {
        const changes = await compareSink((await rowsOf(view)).rows, { sink: opened.sink, identity, signal });
        if (changes === undefined) throw new KollectError('KOL_EXPORT_INPUT', `${opened.place} cannot tell which rows it holds: --diff compares with files, folders and sinks of git and postgres`);
        return this.#tellChanges(changes, opened.place);
      }
      if (this.#options['dry-run']) {
        const { message } = await opened.sink.probe(signal);
        if (!quiet) this.say(`${opened.place}: ${message}`);
        return false;
      }
      const result = await writeOnce({ view, identity, opened, maxDocumentBytes: sink.maxDocumentBytes, absent, allowsDeletes: this.#options['allow-deletes'] || sink.isOwn, signal });
      if (!quiet && this.#terminal.stderr.isTTY) this.say(summary(result, opened.place));
      for (const { key, code, message } of result.rejected.slice(0, 10)) this.say(`${opened.place} refused ${key.targetName}/${key.uid}: ${code}: ${message}`);
      if (result.rejected.length > 10) this.say(`${opened.place} refused ${result.rejected.length} rows in all`);
      return result.rejected.length > 0;
    } finally {
      await opened.sink.close();
    }
  }
}

const marks = { added: '+', changed: '~', removed: '-' } as const;

/** Kinds that say what is exported. Where files have some, those of the cluster do not count. */
const selecting: ReadonlySet<string> = new Set(['KollectTarget', 'KollectClusterTarget', 'KollectInventory', 'KollectClusterInventory']);

/** Sinks of files have their Secrets there, too. */
function withSecretsOf(source: ClusterSource, files: DumpSource): ObjectSource {
  return {
    isWhole: source.isWhole,
    namespaces: () => source.namespaces(),
    resolve: (gvk) => source.resolve(gvk),
    objects: (wanted) => source.objects(wanted),
    readSecret: async (namespace, name) => (await files.readSecret(namespace, name)) ?? (await source.readSecret(namespace, name)),
    installation: () => source.installation(),
  };
}

function summary({ confirmed, written, deleted }: WriteResult, place: string): string {
  return `${place} holds ${confirmed} rows: ${written} written, ${deleted} deleted`;
}
