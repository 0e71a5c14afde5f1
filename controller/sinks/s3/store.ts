import { randomUUID } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type CompletedPart,
  type PutObjectCommandInput,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { KollectError } from '../../../shared/errors.ts';
import type { Dialer } from '../contract.ts';
import { loginMs, requestSignal, untilAborted, type ObjectFacts, type ObjectStore, type PutOptions, type Upload } from '../objects/object-store.ts';
import { guardedAgents, type GuardedAgents } from '../runtime/guarded-agent.ts';
import { answerOf, s3Error } from './errors.ts';
import type { S3SinkSettings } from './settings.ts';

/** Requests at the same time. */
const maxSockets = 32;
/** Of each request, with growing pauses: one of thousands may be lost or throttled without all of them being done again. */
const maxAttempts = 3;
const maxParts = 10_000;

/** A bucket of S3, or of a server that speaks like it. */
export class S3Store implements ObjectStore {
  readonly #settings: S3SinkSettings;
  readonly #agents: GuardedAgents;
  readonly #client: S3Client;
  /** Asks for the credentials of the workload. Its addresses are those of the environment, and never of a sink. */
  readonly #ambient: S3Client | undefined;
  readonly #bucket: string;
  /** What takes conditions. Some stores know none for writes, more of them none for deletes, and say so. */
  readonly #conditional: Set<'write' | 'delete'>;

  constructor(settings: S3SinkSettings, dialer: Dialer) {
    const { url, region, forcePathStyle, credentials, tls, endpoint } = settings;
    this.#settings = settings;
    this.#conditional = new Set(settings.hasConditions ? ['write', 'delete'] : []);
    this.#bucket = endpoint.bucket;
    this.#agents = guardedAgents(dialer, tls, maxSockets);
    this.#ambient = credentials ? undefined : new S3Client({ region, requestHandler: { connectionTimeout: loginMs, requestTimeout: loginMs, throwOnRequestTimeout: true } });
    this.#client = new S3Client({
      region,
      forcePathStyle,
      maxAttempts,
      credentials: credentials ?? this.#ambient!.config.credentials,
      requestHandler: { httpAgent: this.#agents.http, httpsAgent: this.#agents.https },
      // Older stores take no checksums at the end of what is sent.
      ...(url === undefined ? { followRegionRedirects: true } : { endpoint: url, requestChecksumCalculation: 'WHEN_REQUIRED' as const, responseChecksumValidation: 'WHEN_REQUIRED' as const }),
    });
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | undefined> {
    return await this.#find('s3:GetObject', signal, async (abortSignal) => {
      const { ETag = '', Metadata = {} } = await this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal });
      return { version: ETag, metadata: Metadata };
    });
  }

  async read(key: string, maxBytes: number | undefined, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const range = maxBytes === undefined ? {} : { Range: `bytes=0-${maxBytes - 1}` };
    return await this.#find('s3:GetObject', signal, async (abortSignal) => {
      try {
        const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key, ...range }), { abortSignal });
        return await Body!.transformToByteArray();
      } catch (error) {
        // It is empty.
        if (answerOf(error).status === 416) return new Uint8Array();
        throw error;
      }
    });
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly string[]> {
    for (let token: string | undefined, isLast = false; !isLast; ) {
      const { Contents = [], IsTruncated, NextContinuationToken } = await this.#page(prefix, 1_000, token, signal);
      yield Contents.flatMap(({ Key }) => Key ?? []);
      token = NextContinuationToken;
      isLast = !IsTruncated || token === undefined;
    }
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void> {
    await this.#conditionally('write', options.replaces, (condition) =>
      this.#ask('s3:PutObject', signal, (abortSignal) => this.#client.send(new PutObjectCommand({ ...this.#created(key, options), ...condition, Body: bytes, ContentLength: bytes.length }), { abortSignal })),
    );
  }

  async upload(key: string, options: PutOptions, signal: AbortSignal): Promise<Upload> {
    const of = { Bucket: this.#bucket, Key: key };
    const { UploadId } = await this.#ask('s3:PutObject', signal, (abortSignal) => this.#client.send(new CreateMultipartUploadCommand(this.#created(key, options)), { abortSignal }));
    const parts: CompletedPart[] = [];
    return {
      part: async (bytes, signal) => {
        const PartNumber = parts.length + 1;
        if (PartNumber > maxParts) throw new KollectError('KOL_SINK_REFUSED', `${key} is larger than an object can be: set maxExportBytes in the inventory, and it is written in parts`);
        const { ETag = '' } = await this.#ask('s3:PutObject', signal, (abortSignal) => this.#client.send(new UploadPartCommand({ ...of, UploadId, PartNumber, Body: bytes, ContentLength: bytes.length }), { abortSignal }));
        parts.push({ PartNumber, ETag });
      },
      finish: async (signal) => {
        await this.#conditionally('write', options.replaces, (condition) =>
          this.#ask('s3:PutObject', signal, (abortSignal) => this.#client.send(new CompleteMultipartUploadCommand({ ...of, ...condition, UploadId, MultipartUpload: { Parts: parts } }), { abortSignal })),
        );
      },
      abandon: async () => {
        const own = new AbortController().signal;
        await this.#ask('s3:AbortMultipartUpload', own, (abortSignal) => this.#client.send(new AbortMultipartUploadCommand({ ...of, UploadId }), { abortSignal }));
      },
    };
  }

  async remove(key: string, version: string | undefined, signal: AbortSignal): Promise<void> {
    await this.#conditionally('delete', version === undefined ? 'any' : { version }, (condition) =>
      this.#find('s3:DeleteObject', signal, (abortSignal) => this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key, ...condition }), { abortSignal })),
    );
  }

  async probe(prefix: string, signal: AbortSignal): Promise<string> {
    await this.#page(prefix, 1, undefined, signal);
    const key = `${prefix}.kollect-probe-${randomUUID()}`;
    await this.head(key, signal);
    await this.#verifyPut(key, signal);
    const { title, endpoint, url, region, credentials } = this.#settings;
    const way = endpoint.scheme === 'https' ? 'TLS' : 'HTTP without TLS';
    return `${way}, ${url === undefined ? `region ${region}` : 'a store of its own'}, ${credentials ? 'keys of the Secret' : 'identity of the workload'}: ${title} can be listed, read and written; whether objects may be removed only a removal shows`;
  }

  async close(): Promise<void> {
    this.#client.destroy();
    this.#ambient?.destroy();
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** A part of an upload that does not exist is refused for that by whoever may write, and stored by nobody. */
  async #verifyPut(key: string, signal: AbortSignal): Promise<void> {
    await this.#ask('s3:PutObject', signal, async (abortSignal) => {
      try {
        await this.#client.send(new UploadPartCommand({ Bucket: this.#bucket, Key: key, UploadId: randomUUID(), PartNumber: 1, Body: new Uint8Array() }), { abortSignal });
      } catch (error) {
        const { name, status } = answerOf(error);
        // Some say instead that it cannot be the name of an upload.
        const isUnknown = (status === 404 && name !== 'NoSuchBucket') || name === 'NoSuchUpload' || name === 'InvalidArgument' || name === 'InvalidRequest';
        if (!isUnknown) throw error;
      }
    });
  }

  async #page(prefix: string, most: number, token: string | undefined, signal: AbortSignal) {
    const after = token === undefined ? {} : { ContinuationToken: token };
    return await this.#ask('s3:ListBucket', signal, (abortSignal) => this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, Delimiter: '/', MaxKeys: most, ...after }), { abortSignal }));
  }

  #created(key: string, { contentType, metadata }: PutOptions): PutObjectCommandInput {
    const { storageClass, encryption } = this.#settings;
    return {
      Bucket: this.#bucket,
      Key: key,
      ContentType: contentType,
      Metadata: { ...metadata },
      ...(storageClass !== undefined && { StorageClass: storageClass as StorageClass }),
      ...(encryption && { ServerSideEncryption: encryption.algorithm, ...(encryption.keyId !== undefined && { SSEKMSKeyId: encryption.keyId }) }),
    };
  }

  async #conditionally(kind: 'write' | 'delete', replaces: PutOptions['replaces'], work: (condition: { IfMatch?: string; IfNoneMatch?: string }) => Promise<unknown>): Promise<void> {
    const condition = replaces === 'any' || !this.#conditional.has(kind) ? {} : replaces === 'none' ? { IfNoneMatch: '*' } : { IfMatch: replaces.version };
    try {
      await work(condition);
    } catch (error) {
      const { name, status } = answerOf(error instanceof KollectError ? error.cause : error);
      if (Object.keys(condition).length === 0 || (status !== 501 && name !== 'NotImplemented')) throw error;
      this.#conditional.delete(kind);
      await work({});
    }
  }

  /** Undefined where there is no such object. */
  async #find<T>(does: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    return await this.#ask(does, signal, async (abortSignal) => {
      try {
        return await work(abortSignal);
      } catch (error) {
        const { name, status } = answerOf(error);
        if (name === 'NoSuchKey' || (status === 404 && name !== 'NoSuchBucket')) return undefined;
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
      throw s3Error(error, does, this.#settings, signal);
    }
  }
}
