import { closeSync, createReadStream, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { GROUP } from '../api/group.ts';
import { gvkKey } from '../api/gvk.ts';
import { kindByName } from '../api/kinds.ts';
import type { KubeObject } from '../api/kube-object.ts';
import { Turns } from '../in-turns.ts';
import type { GroupVersionKind } from '../kube/discovery.ts';
import { reason, type FoundFile } from '../lint/files.ts';
import type { Source } from '../lint/source.ts';
import { nearestName } from '../nearest.ts';
import { KollectError } from '../errors.ts';
import { isObject } from '../values.ts';
import type { DumpItem, ItemFinder, ListHeader } from './item.ts';
import { JsonItems } from './json-items.ts';
import { headerOf, isPage, pageProblem, parsed, readObjects, type DumpFormat } from './read-object.ts';
import { YamlItems } from './yaml-items.ts';

/** The objects of a kind in the files. */
export interface DumpKind {
  /** The first of them is in a namespace. */
  namespaced: boolean;
}

interface DumpFile {
  name: string;
  /** Of what can be read only once, and is kept. */
  spool: number | undefined;
  format: DumpFormat;
}

interface Entry {
  file: DumpFile;
  item: DumpItem;
  key: string;
  /** Of a list whose items do not say what they are. */
  header: ListHeader | undefined;
  /** Among the objects of the item. */
  index: number;
}

/**
 * The objects of files and of standard input, however many there are: it is known where each of them stands, and what it is of; they are read when they are
 * asked for. Files must stay as they are until it is closed.
 *
 * @example
 * using dump = await Dump.open(files, process.stdin);
 * for await (const objects of dump.objects((key) => key === 'apps/v1/deployment')) …
 */
export class Dump implements Disposable {
  /** Kollect's own objects, each as a text of its own. */
  readonly sources: Source[] = [];
  readonly kinds = new Map<string, DumpKind>();
  readonly #spools: number[] = [];
  /** The file that was read last: of many, one is open. */
  #open: { file: DumpFile; descriptor: number } | undefined;
  readonly #entries: Entry[] = [];
  /** Bytes that were looked through. */
  #bytes = 0;

  /** Looks through files. What cannot be read is a source with a problem. */
  static async open(files: readonly FoundFile[], stdin: Readable, onProgress: (bytes: number) => void = () => undefined): Promise<Dump> {
    const dump = new Dump();
    try {
      for (const file of files) {
        if ('problem' in file) dump.sources.push(file);
        else await dump.#add(file, stdin, onProgress);
      }
    } catch (error) {
      dump[Symbol.dispose]();
      throw error;
    }
    return dump;
  }

  /**
   * Objects of some kinds, in their order, a few hundred at a time. Throws `KOL_EXPORT_INPUT` for one that cannot be read.
   *
   * @param wants by key, as `gvkKey` gives it
   */
  async *objects(wants: (key: string) => boolean): AsyncGenerator<readonly KubeObject[]> {
    const turns = new Turns();
    let some: KubeObject[] = [];
    for (const entry of this.#entries) {
      if (!wants(entry.key)) continue;
      some.push(this.#read(entry));
      if (some.length >= batch) {
        yield some;
        some = [];
      }
      if (turns.isOver) await turns.next();
    }
    if (some.length > 0) yield some;
  }

  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#open.descriptor);
    this.#open = undefined;
    for (const descriptor of this.#spools.splice(0)) closeSync(descriptor);
  }

  async #add({ name, isNamed, isStandardInput }: Extract<FoundFile, { isStandardInput: boolean }>, stdin: Readable, onProgress: (bytes: number) => void): Promise<void> {
    const before = this.sources.length + this.#entries.length;
    try {
      const file: DumpFile = { name, spool: undefined, format: 'yaml' };
      if (isStandardInput || !(await stat(name)).isFile()) {
        // What comes through a pipe is needed twice.
        file.spool = await spool();
        this.#spools.push(file.spool);
      }
      let finder: ItemFinder | undefined;
      let head: Buffer = Buffer.alloc(0);
      for await (const chunk of (isStandardInput ? stdin : createReadStream(name, { highWaterMark: blockBytes })) as AsyncIterable<Buffer>) {
        if (file.spool !== undefined) writeAll(file.spool, chunk);
        this.#bytes += chunk.length;
        onProgress(this.#bytes);
        if (finder) {
          finder.push(chunk);
          continue;
        }
        head = Buffer.concat([head, chunk]);
        const first = /[^\s\uFEFF]/u.exec(head.toString())?.[0];
        if (first === undefined) continue;
        file.format = first === '{' ? 'json' : 'yaml';
        finder = this.#finder(file, isNamed);
        finder.push(head);
      }
      finder?.end();
    } catch (error) {
      this.sources.push({ name, text: '', problem: `cannot be read: ${reason(error)}`, isNamed: true });
      return;
    }
    if (isNamed && this.sources.length + this.#entries.length === before) this.sources.push({ name, text: '', problem: 'holds no object', isNamed: true });
  }

  #finder(file: DumpFile, isNamed: boolean): ItemFinder {
    // Items that say nothing of themselves wait for their list.
    let unnamed: DumpItem[] = [];
    let areObjects = false;
    const handlers = {
      item: (item: DumpItem, bytes: Buffer): void => {
        const gvk = peek(bytes) ?? wholeGvk(bytes, file.format);
        if (gvk === 'unnamed') unnamed.push(item);
        else if (typeof gvk === 'object') this.#note(file, item, bytes, gvk, undefined, isNamed);
        // In folders, too, nobody knows what was to be there.
        else if (isNamed || gvk === 'unreadable') this.sources.push(sourceOf(file, item, bytes, true));
        if (gvk !== 'none') areObjects = true;
      },
      listed: (list: Buffer | undefined): void => {
        const items = unnamed;
        const header = list && headerIn(textOf(list, file.format), file.format);
        const problem = header && problemOf(header, file.format, areObjects);
        unnamed = [];
        areObjects = false;
        if (problem !== undefined) {
          this.sources.push({ name: file.name, text: '', problem, isNamed: true });
          return;
        }
        const ofItems = header && header !== 'unreadable' ? headerOf(header) : undefined;
        for (const item of items) {
          const bytes = this.#bytesOf(file, item);
          if (ofItems) this.#note(file, item, bytes, gvkOf(ofItems), ofItems, isNamed);
          else this.sources.push(sourceOf(file, item, bytes, true));
        }
      },
    };
    return file.format === 'json' ? new JsonItems(handlers) : new YamlItems(handlers);
  }

  #note(file: DumpFile, item: DumpItem, bytes: Buffer, gvk: GroupVersionKind, header: ListHeader | undefined, isNamed: boolean): void {
    if (gvk.kind.endsWith('List')) return this.#noteList(file, item, bytes, isNamed);
    if (isOurs(gvk)) {
      this.sources.push(sourceOf(file, item, bytes, isNamed, header));
      return;
    }
    const key = gvkKey(gvk);
    this.#keep({ file, item, key, header, index: 0 }, this.kinds.get(key)?.namespaced ?? isNamespaced(bytes, file.format));
  }

  /** A list that stands in another one, or is written in a way that is not looked into. */
  #noteList(file: DumpFile, item: DumpItem, bytes: Buffer, isNamed: boolean): void {
    let objects: KubeObject[] = [];
    try {
      objects = readObjects(textOf(bytes, file.format), file.format, placeOf(file, item));
    } catch (error) {
      this.sources.push({ ...sourceOf(file, item, bytes, isNamed), problem: (error as Error).message });
    }
    for (const [index, object] of objects.entries()) {
      const gvk = gvkOf(object);
      if (isOurs(gvk)) this.sources.push({ name: file.name, text: JSON.stringify(object), linesBefore: item.line, isNamed });
      else this.#keep({ file, item, key: gvkKey(gvk), header: undefined, index }, typeof object.metadata.namespace === 'string');
    }
  }

  #keep(entry: Entry, namespaced: boolean): void {
    if (!this.kinds.has(entry.key)) this.kinds.set(entry.key, { namespaced });
    this.#entries.push(entry);
  }

  #read({ file, item, header, index }: Entry): KubeObject {
    return readObjects(textOf(this.#bytesOf(file, item), file.format), file.format, placeOf(file, item), header)[index]!;
  }

  #bytesOf(file: DumpFile, { start, end }: DumpItem): Buffer {
    const bytes = Buffer.allocUnsafe(end - start);
    try {
      const descriptor = this.#descriptorOf(file);
      for (let at = 0; at < bytes.length; ) {
        const read = readSync(descriptor, bytes, at, bytes.length - at, start + at);
        if (read === 0) throw new Error('it is shorter than it was');
        at += read;
      }
    } catch (cause) {
      throw new KollectError('KOL_EXPORT_INPUT', `${file.name} cannot be read again: ${reason(cause)}`, { cause });
    }
    return bytes;
  }

  #descriptorOf(file: DumpFile): number {
    if (file.spool !== undefined) return file.spool;
    if (this.#open?.file === file) return this.#open.descriptor;
    if (this.#open) closeSync(this.#open.descriptor);
    this.#open = undefined;
    this.#open = { file, descriptor: openSync(file.name, 'r') };
    return this.#open.descriptor;
  }
}

/** Objects that are handed over together. */
const batch = 256;
const blockBytes = 4 * 1024 * 1024;

function writeAll(descriptor: number, chunk: Buffer): void {
  for (let at = 0; at < chunk.length; ) at += writeSync(descriptor, chunk, at);
}

/** A file without a name, which is gone with the process. */
async function spool(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'kollect-'));
  try {
    return openSync(join(folder, 'stdin'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What most objects begin with; undefined for those that have to be read as a whole. */
function peek(bytes: Buffer): GroupVersionKind | undefined {
  const start = bytes.toString('latin1', 0, 300);
  const [, json, jsonKind] = /^\{\s*"apiVersion"\s*:\s*"([\w./-]+)"\s*,\s*"kind"\s*:\s*"(\w+)"/.exec(start) ?? [];
  if (json !== undefined) return gvkOf({ apiVersion: json, kind: jsonKind! });
  const [, apiVersion, kind] = /^(?:\s*- +|\s*)apiVersion: +([\w./-]+) *\r?\n +kind: +(\w+) *\r?\n|^apiVersion: +([\w./-]+) *\r?\nkind: +(\w+) *\r?\n/.exec(start)?.filter((part) => part !== undefined) ?? [];
  return apiVersion === undefined ? undefined : gvkOf({ apiVersion, kind: kind! });
}

/** By all of an item: `none` when it is nothing, `unnamed` when its list has to say. */
function wholeGvk(bytes: Buffer, format: DumpFormat): GroupVersionKind | 'none' | 'unnamed' | 'unreadable' {
  try {
    const value = parsed(textOf(bytes, format), format);
    // Objects without a list around them.
    if (Array.isArray(value)) return value.some(isPartOfObject) ? 'unreadable' : 'none';
    if (!isPartOfObject(value)) return 'none';
    const { apiVersion, kind } = value;
    return apiVersion === undefined && kind === undefined ? 'unnamed' : gvkOf({ apiVersion: String(apiVersion ?? ''), kind: String(kind ?? '') });
  } catch {
    return 'unreadable';
  }
}

function isPartOfObject(value: unknown): value is Record<string, unknown> {
  return isObject(value) && ('metadata' in value || 'kind' in value);
}

/** What a list says beside its items. */
function headerIn(text: string, format: DumpFormat): Record<string, unknown> | 'unreadable' {
  try {
    const list = parsed(text, format);
    return isObject(list) ? list : {};
  } catch {
    return 'unreadable';
  }
}

/** Why the items of a list may not be all of them. */
function problemOf(header: Record<string, unknown> | 'unreadable', format: DumpFormat, areObjects: boolean): string | undefined {
  if (header === 'unreadable') return 'cannot be read: it has items, and what stands beside them is not understood';
  if (isPage(header)) return pageProblem;
  const { apiVersion, kind } = header;
  // It stands behind the items, and may be missing with some of them.
  const isCut = format === 'yaml' && (areObjects || apiVersion !== undefined) && !(typeof kind === 'string' && kind.endsWith('List'));
  return isCut ? 'is not complete: it has items, but no kind such as List, which stands behind them' : undefined;
}

function isNamespaced(bytes: Buffer, format: DumpFormat): boolean {
  try {
    const value = parsed(textOf(bytes, format), format);
    return !isObject(value) || !isObject(value['metadata']) || typeof value['metadata']['namespace'] === 'string';
  } catch {
    // Whoever asks for its objects is told what is wrong with it.
    return true;
  }
}

/** The text of an item, in the columns where it stands. A blank is in the place of the dash of a YAML list. */
function textOf(bytes: Buffer, format: DumpFormat): string {
  const text = bytes.toString();
  return format === 'yaml' ? text.replace(/^( *)-(?=\s)/, '$1 ') : text;
}

function sourceOf(file: DumpFile, item: DumpItem, bytes: Buffer, isNamed: boolean, header?: ListHeader): Source {
  const text = textOf(bytes, file.format);
  // Lint reads what an object says of itself.
  const whole = header === undefined ? text : JSON.stringify({ ...header, ...(parsed(text, file.format) as object) });
  return { name: file.name, text: `${' '.repeat(item.column)}${whole}`, linesBefore: item.line, isNamed };
}

function placeOf({ name }: DumpFile, { line, column }: DumpItem): string {
  return `${name}:${line + 1}:${column + 1}`;
}

function gvkOf({ apiVersion, kind }: ListHeader): GroupVersionKind {
  const slash = apiVersion.indexOf('/');
  return { group: apiVersion.slice(0, Math.max(0, slash)), version: apiVersion.slice(slash + 1), kind };
}

/** Also when group or kind are misspelt: lint says so. */
function isOurs({ group, kind }: GroupVersionKind): boolean {
  return kindByName(kind) !== undefined || nearestName(group, [GROUP]) !== undefined;
}
