import { type KubeClient } from './client.ts';
import { pagesOf, type ListOptions, type ObjectReader, type Page, type Query } from './pages.ts';

const accept = (kind: string): string => `application/json;as=${kind};g=meta.k8s.io;v=v1, application/json`;

/** Reads objects without anything but their metadata. API servers that cannot leave the rest out send it. */
export class MetadataReader implements ObjectReader {
  readonly type: { readonly apiVersion: string; readonly kind: string };
  readonly #client: KubeClient;

  /** @param type what the objects of the collection are, which their metadata does not say */
  constructor(client: KubeClient, { group, version, kind }: { group: string; version: string; kind: string }) {
    this.#client = client;
    this.type = { apiVersion: group === '' ? version : `${group}/${version}`, kind };
  }

  async page(path: string, query: Query, signal?: AbortSignal): Promise<Page> {
    const page = await this.#client.page(path, query, signal, accept('PartialObjectMetadataList'));
    for (const item of page.items) Object.assign(item, this.type);
    return page;
  }

  list(path: string, query: Query = {}, options: ListOptions = {}): AsyncGenerator<Page> {
    return pagesOf(this, path, query, options);
  }

  watch(path: string, query: Query, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    return this.#client.watch(path, query, signal, accept('PartialObjectMetadata'));
  }
}
