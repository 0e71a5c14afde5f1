import { closeSync, createReadStream, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
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
import { isObject } from '../values.ts';
import type { DumpItem, ItemFinder, ListHeader } from './item.ts';
import { JsonItems } from './json-items.ts';
import { headerOf, parsed, readObjects, type DumpFormat } from './read-object.ts';
import { YamlItems } from './yaml-items.ts';

/** The objects of a kind in the files. */
export interface DumpKind {
  gvk: GroupVersionKind;
  count: number;
  /** The first of them is in a namespace. */
  namespaced: boolean;
}

interface DumpFile {
  name: string;
  descriptor: number;
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
  readonly #files: DumpFile[] = [];
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

  /** Objects that are not Kollect's own. */
  get count(): number {
    return this.#entries.length;
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
    for (const { descriptor } of this.#files) closeSync(descriptor);
    this.#files.length = 0;
  }

  async #add({ name, isNamed, isStandardInput }: Extract<FoundFile, { isStandardInput: boolean }>, stdin: Readable, onProgress: (bytes: number) => void): Promise<void> {
    const before = this.sources.length + this.#entries.length;
    try {
      // What comes through a pipe is needed twice.
      const file: DumpFile = { name, descriptor: isStandardInput ? await spool() : openSync(name, 'r'), format: 'yaml' };
      this.#files.push(file);
      let finder: ItemFinder | undefined;
      let head: Buffer = Buffer.alloc(0);
      for await (const chunk of (isStandardInput ? stdin : createReadStream(name, { highWaterMark: blockBytes })) as AsyncIterable<Buffer>) {
        if (isStandardInput) writeAll(file.descriptor, chunk);
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
    const handlers = {
      item: (item: DumpItem, bytes: Buffer): void => {
        const gvk = peek(bytes) ?? wholeGvk(bytes, file.format);
        if (gvk === 'unnamed') unnamed.push(item);
        else if (gvk !== 'none') this.#note(file, item, bytes, gvk, undefined, isNamed);
        else if (isNamed) this.sources.push(sourceOf(file, item, bytes, isNamed));
      },
      listed: (list: Buffer | undefined): void => {
        const items = unnamed;
        unnamed = [];
        const header = items.length === 0 || list === undefined ? undefined : headerIn(textOf(list, file.format), file.format);
        for (const item of items) {
          const bytes = bytesOf(file, item);
          if (header) this.#note(file, item, bytes, gvkOf(header), header, isNamed);
          else if (isNamed) this.sources.push(sourceOf(file, item, bytes, isNamed));
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
    this.#keep({ file, item, key, header, index: 0 }, gvk, this.kinds.get(key)?.namespaced ?? isNamespaced(bytes, file.format));
  }

  /** A list that stands in another one, or is written in a way that is not looked into. */
  #noteList(file: DumpFile, item: DumpItem, bytes: Buffer, isNamed: boolean): void {
    let objects: KubeObject[] = [];
    try {
      objects = readObjects(textOf(bytes, file.format), file.format, placeOf(file, item));
    } catch (error) {
      if (isNamed) this.sources.push({ ...sourceOf(file, item, bytes, isNamed), problem: (error as Error).message });
    }
    for (const [index, object] of objects.entries()) {
      const gvk = gvkOf(object);
      if (isOurs(gvk)) this.sources.push({ name: file.name, text: JSON.stringify(object), linesBefore: item.line, isNamed });
      else this.#keep({ file, item, key: gvkKey(gvk), header: undefined, index }, gvk, typeof object.metadata.namespace === 'string');
    }
  }

  #keep(entry: Entry, gvk: GroupVersionKind, namespaced: boolean): void {
    const known = this.kinds.get(entry.key);
    if (known) known.count++;
    else this.kinds.set(entry.key, { gvk, count: 1, namespaced });
    this.#entries.push(entry);
  }

  #read({ file, item, header, index }: Entry): KubeObject {
    return readObjects(textOf(bytesOf(file, item), file.format), file.format, placeOf(file, item), header)[index]!;
  }
}

/** Objects that are handed over together. */
const batch = 256;
const blockBytes = 4 * 1024 * 1024;

function bytesOf({ descriptor, name }: DumpFile, { start, end }: DumpItem): Buffer {
  const bytes = Buffer.allocUnsafe(end - start);
  for (let at = 0; at < bytes.length; ) {
    const read = readSync(descriptor, bytes, at, bytes.length - at, start + at);
    if (read === 0) throw new Error(`${name} is shorter than it was`);
    at += read;
  }
  return bytes;
}

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
function wholeGvk(bytes: Buffer, format: DumpFormat): GroupVersionKind | 'none' | 'unnamed' {
  try {
    const value = parsed(textOf(bytes, format), format);
    if (!isObject(value) || !('metadata' in value || 'kind' in value)) return 'none';
    const { apiVersion, kind } = value;
    return apiVersion === undefined && kind === undefined ? 'unnamed' : gvkOf({ apiVersion: String(apiVersion ?? ''), kind: String(kind ?? '') });
  } catch {
    return 'none';
  }
}

function headerIn(text: string, format: DumpFormat): ListHeader | undefined {
  try {
    const list = parsed(text, format);
    return isObject(list) ? headerOf(list) : undefined;
  } catch {
    return undefined;
  }
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
