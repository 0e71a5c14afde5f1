import { isDeepStrictEqual } from 'node:util';
import { annotations } from '../../shared/api/annotations.ts';
import { kindByName } from '../../shared/api/kinds.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { SinkStatus } from '../../shared/api/sink-common.ts';
import type { SinkPreview } from '../../shared/api/sink-preview.ts';
import { ignoreGone } from '../../shared/kube/api-error.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { patchStatusFields } from '../../shared/kube/status.ts';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import type { Logger } from '../../shared/log.ts';
import { sinkKinds } from '../sink-directory.ts';
import type { SinkFamily } from '../sinks/contract.ts';
import { renderPreview, type PreviewOptions } from './sink-preview.ts';

export interface PreviewReconcilerOptions extends PreviewOptions {
  client: KubeClient;
  caches: Record<SinkFamily, ObjectCache<KubeObject>>;
  logger: Logger;
}

type SinkKey = `${SinkFamily}/${string}`;

/** Keeps `status.preview` of a sink as its spec and its annotation say. It writes when it differs, and so not for what it wrote itself. */
export class PreviewReconciler {
  readonly #options: PreviewReconcilerOptions;
  readonly #queue: WorkQueue<SinkKey>;
  #unsubscribe: (() => void)[] = [];

  constructor(options: PreviewReconcilerOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'preview', reconcile: (key) => this.#reconcile(key), logger: options.logger });
  }

  /** Begins with the sinks that the caches hold. */
  start(): void {
    for (const [family, cache] of Object.entries(this.#options.caches) as [SinkFamily, ObjectCache<KubeObject>][]) {
      this.#unsubscribe.push(cache.onChange((key, object) => this.#changed(`${family}/${key}`, object)));
      for (const object of cache.list()) this.#changed(`${family}/${object.metadata.namespace ?? ''}/${object.metadata.name}`, object);
    }
  }

  async stop(): Promise<void> {
    for (const end of this.#unsubscribe.splice(0)) end();
    await this.#queue.stop();
  }

  #changed(key: SinkKey, object: KubeObject | undefined): void {
    if (object && !object.metadata.deletionTimestamp && (isAsked(object) || previewOf(object))) this.#queue.add(key);
  }

  async #reconcile(key: SinkKey): Promise<void> {
    const slash = key.indexOf('/');
    const family = key.slice(0, slash) as SinkFamily;
    const object = this.#options.caches[family].get(key.slice(slash + 1));
    if (!object) return;
    const shown = previewOf(object);
    if (!isAsked(object)) return shown && (await this.#write(family, object, undefined));
    const { renderedAt: _, ...former } = shown ?? {};
    const preview = await renderPreview(sinkKinds[family], object, this.#options);
    if (!isDeepStrictEqual(former, preview)) await this.#write(family, object, { renderedAt: new Date().toISOString(), ...preview });
  }

  /** Changes the preview alone, if the object is there still, and has one when it is to go: the watch brings what it is now. */
  async #write(family: SinkFamily, object: KubeObject, preview: SinkPreview | undefined): Promise<void> {
    await ignoreGone(patchStatusFields(this.#options.client, kindByName(sinkKinds[family])?.plural ?? '', object, { preview }));
  }
}

function isAsked({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[annotations.preview]?.trim().toLowerCase() === 'true';
}

function previewOf(object: KubeObject): SinkPreview | undefined {
  return (object['status'] as SinkStatus | undefined)?.preview;
}
