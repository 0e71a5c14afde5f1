import { randomUUID } from 'node:crypto';
import { ContainerClient, newPipeline, StorageSharedKeyCredential, type BlobRequestConditions, type ContainerListBlobHierarchySegmentResponse, type RequestPolicyFactory } from '@azure/storage-blob';
import type { Dialer } from '../contract.ts';
import { answerMs, requestSignal, untilAborted, type ObjectFacts, type ObjectStore, type PutOptions, type Upload } from '../objects/object-store.ts';
import { guardedAgents, type GuardedAgents } from '../runtime/guarded-agent.ts';
import { answerOf, azureError } from './errors.ts';
import type { AzureSinkSettings } from './settings.ts';
import { EntraTokens } from './token.ts';

/** Requests at the same time. */
const maxSockets = 32;
/** Of each request, with growing pauses: one of thousands may be lost or throttled without all of them being done again. */
const retryOptions = { maxTries: 3, retryDelayInMs: 200, maxRetryDelayInMs: 2_000, tryTimeoutInMs: answerMs };

/** A container of Azure Blob Storage. */
export class AzureStore implements ObjectStore {
  readonly #settings: AzureSinkSettings;
  readonly #agents: GuardedAgents;
  readonly #container: ContainerClient;

  constructor(settings: AzureSinkSettings, dialer: Dialer) {
    const { url, endpoint, login, tls } = settings;
    this.#settings = settings;
    this.#agents = guardedAgents(dialer, tls, maxSockets);
    const credential = login.kind === 'key' ? new StorageSharedKeyCredential(login.account, login.key) : login.kind === 'sas' ? undefined : new EntraTokens(login);
    const pipeline = newPipeline(credential, { retryOptions });
    pipeline.factories.push(this.#guard());
    this.#container = new ContainerClient(`${url}/${endpoint.bucket}${login.kind === 'sas' ? `?${login.token}` : ''}`, pipeline);
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | undefined> {
    return await this.#find('read blobs', signal, async (abortSignal) => {
      const { etag = '', metadata = {} } = await this.#container.getBlobClient(key).getProperties({ abortSignal });
      return { version: etag, metadata };
    });
  }

  async read(key: string, maxBytes: number | undefined, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return await this.#find('read blobs', signal, async (abortSignal) => {
      try {
        const { readableStreamBody } = await this.#container.getBlobClient(key).download(0, maxBytes, { abortSignal });
        const pieces: Buffer[] = [];
        for await (const piece of readableStreamBody!) pieces.push(Buffer.from(piece));
        return Buffer.concat(pieces);
      } catch (error) {
        // It is empty.
        if (answerOf(error).status === 416) return new Uint8Array();
        throw error;
      }
    });
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly string[]> {
    for (let token: string | undefined, isLast = false; !isLast; ) {
      const { segment, continuationToken } = await this.#page(prefix, 1_000, token, signal);
      yield segment.blobItems.map(({ name }) => name);
      token = continuationToken;
      isLast = token === undefined || token === '';
    }
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void> {
    await this.#ask('write blobs', signal, (abortSignal) => this.#container.getBlockBlobClient(key).upload(bytes, bytes.length, { ...this.#created(options), abortSignal }));
  }

  async upload(key: string, options: PutOptions): Promise<Upload> {
    const blob = this.#container.getBlockBlobClient(key);
    const of = randomUUID();
    const blocks: string[] = [];
    return {
      part: async (bytes, signal) => {
        // All names have the same length.
        const block = Buffer.from(`${of} ${String(blocks.length).padStart(6, '0')}`).toString('base64');
        await this.#ask('write blobs', signal, (abortSignal) => blob.stageBlock(block, bytes, bytes.length, { abortSignal, ...this.#scope() }));
        blocks.push(block);
      },
      finish: async (signal) => {
        await this.#ask('write blobs', signal, (abortSignal) => blob.commitBlockList(blocks, { ...this.#created(options), abortSignal }));
      },
      // Nobody can: the store drops blocks that are not used within a week.
      abandon: async () => undefined,
    };
  }

  async remove(key: string, version: string | undefined, signal: AbortSignal): Promise<void> {
    const conditions = version === undefined ? {} : { conditions: { ifMatch: version } };
    await this.#find('delete blobs', signal, (abortSignal) => this.#container.getBlobClient(key).delete({ abortSignal, deleteSnapshots: 'include', ...conditions }));
  }

  async probe(prefix: string, signal: AbortSignal): Promise<string> {
    const { title, url, login } = this.#settings;
    await this.#page(prefix, 1, undefined, signal);
    const key = `${prefix}.kollect-probe-${randomUUID()}`;
    await this.head(key, signal);
    await this.#verifyPut(key, signal);
    const way = url.startsWith('https:') ? 'TLS' : 'HTTP without TLS';
    const as = { key: 'key of the account', sas: 'shared access signature', client: 'registered application', workload: 'identity of the workload' }[login.kind];
    return `${way}, ${as}: ${title} can be listed, read and written; whether blobs may be removed only a removal shows`;
  }

  async close(): Promise<void> {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** A version of a blob that does not exist is refused for that to whoever may write, and stored by nobody. */
  async #verifyPut(key: string, signal: AbortSignal): Promise<void> {
    await this.#ask('write blobs', signal, async (abortSignal) => {
      try {
        await this.#container.getBlockBlobClient(key).upload('', 0, { abortSignal, conditions: { ifMatch: '"0x8D0000000000000"' } });
      } catch (error) {
        const { code, status } = answerOf(error);
        if (status !== 412 && code !== 'BlobNotFound') throw error;
      }
    });
  }

  async #page(prefix: string, most: number, token: string | undefined, signal: AbortSignal): Promise<ContainerListBlobHierarchySegmentResponse> {
    const after = token === undefined ? {} : { continuationToken: token };
    return await this.#ask('list blobs', signal, async (abortSignal) => {
      const { value } = await this.#container.listBlobsByHierarchy('/', { prefix, abortSignal }).byPage({ maxPageSize: most, ...after }).next();
      return value as ContainerListBlobHierarchySegmentResponse;
    });
  }

  #created({ replaces, contentType, metadata }: PutOptions) {
    const { accessTier } = this.#settings;
    const conditions: BlobRequestConditions = replaces === 'any' ? {} : replaces === 'none' ? { ifNoneMatch: '*' } : { ifMatch: replaces.version };
    return { conditions, blobHTTPHeaders: { blobContentType: contentType }, metadata: { ...metadata }, ...(accessTier !== undefined && { tier: accessTier }), ...this.#scope() };
  }

  #scope(): { encryptionScope?: string } {
    const { encryptionScope } = this.#settings;
    return encryptionScope === undefined ? {} : { encryptionScope };
  }

  /** Whatever else the client would connect with. */
  #guard(): RequestPolicyFactory {
    const { http, https } = this.#agents;
    return {
      create: (next) => ({
        shouldLog: () => false,
        log: () => undefined,
        sendRequest: (request) => {
          request.agent = request.url.startsWith('https:') ? https : http;
          return next.sendRequest(request);
        },
      }),
    };
  }

  /** Undefined where there is no such blob. */
  async #find<T>(does: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    return await this.#ask(does, signal, async (abortSignal) => {
      try {
        return await work(abortSignal);
      } catch (error) {
        if (answerOf(error).code === 'BlobNotFound') return undefined;
        throw error;
      }
    });
  }

  /** Throws in terms of the catalogue. */
  async #ask<T>(does: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      const both = requestSignal(signal);
      return await untilAborted(both, work(both));
    } catch (error) {
      throw azureError(error, does, this.#settings.title, signal);
    }
  }
}
