import { hash, randomUUID } from 'node:crypto';
import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import { serializationOf } from '../../../shared/layout/serialization.ts';
import type { Backend, CheckResult, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import type { Contents } from '../documents/document.ts';
import { documentType, writeDocument } from '../documents/formats.ts';
import { partition } from '../documents/parts.ts';
import { snapshotOf } from '../documents/snapshot.ts';
import { commitMs } from '../runtime/deadline.ts';
import { guardedAgents, type GuardedAgents } from '../runtime/guarded-agent.ts';
import { httpRequest, type HttpAnswer, type HttpRequest } from '../runtime/http-request.ts';
import { bodyOf } from './body.ts';
import { answerError, connectionError } from './errors.ts';
import { httpSecretRef, readSettings, settingsKey, type HttpSinkSettings } from './settings.ts';

/** Connections to a server. */
const maxSockets = 8;
/** Of an answer, to quote. */
const maxAnswerBytes = 4_096;
/** For an answer, and for each MiB that is sent: less than 1 Mbit/s is no connection. */
const answerMs = 30_000;
const perMebibyteMs = 8_000;
const maxRedirects = 3;

/** Documents that are sent to a web hook, which keeps them or not. */
export const http: Backend<KollectSnapshotSinkSpec> = {
  type: 'http',
  family: 'snapshot',
  capabilities: { granularity: 'document', concurrency: 4 },
  refusesLateWrites: () => false,
  secretRef: httpSecretRef,
  otherSecretRefs: ({ http: settings }) => ({ ...(settings?.headersSecretRef && { headers: settings.headersSecretRef }), ...(settings?.signature && { signature: settings.signature.secretRef }) }),
  destination: (context) => {
    const { method, url } = readSettings(context);
    return JSON.stringify([method, url.href, serializationOf(context.spec)]);
  },
  place: (context) => {
    const { method, title } = readSettings(context);
    return `${method} ${title}`;
  },
  server: (context) => readSettings(context).url.origin,
  open: async (context) => new HttpSink(context),
  preview: async () => ({ warnings: ['each export of an inventory is one request with its document; the server is to keep it'] }),
};

class Agents {
  readonly agents: GuardedAgents;

  constructor(agents: GuardedAgents) {
    this.agents = agents;
  }

  async close(): Promise<void> {
    this.agents.http.destroy();
    this.agents.https.destroy();
  }
}

/** What an inventory was when its server confirmed it last, and what it is told since. */
interface Sent {
  content: string | undefined;
  rows: number;
  /** Sent with an unknown outcome: the same again is the same document. */
  pending?: Pending;
}

interface Pending {
  content: string;
  exportedAt: Date;
  number: number;
}

const nothingSent: Sent = { content: undefined, rows: 0 };

class HttpSink implements Sink {
  readonly #context: OpenContext<KollectSnapshotSinkSpec>;
  readonly #settings: HttpSinkSettings;
  readonly #agents: GuardedAgents;
  readonly #release: () => Promise<void>;
  readonly #sent = new Map<string, Sent>();
  /** A content that comes back is another request; one that is repeated is the same. */
  readonly #run = randomUUID();
  #next = 0;

  constructor(context: OpenContext<KollectSnapshotSinkSpec>) {
    this.#context = context;
    this.#settings = readSettings(context);
    const { value, release } = context.shared.lease(settingsKey(this.#settings), () => new Agents(guardedAgents(context.dialer, this.#settings.tls, maxSockets)));
    this.#agents = value.agents;
    this.#release = release;
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    const { url, title, method, headers } = this.#settings;
    const { status, headers: answer } = await this.#ask({ method: 'OPTIONS', url, headers }, answerMs, signal);
    if (status === 401) throw answerError({ status, headers: {}, body: Buffer.alloc(0) }, title, method);
    const allowed = answer.allow?.split(',').map((one) => one.trim().toUpperCase()) ?? [];
    if (status < 300 && allowed.length > 0 && !allowed.includes(method) && !allowed.includes('*')) throw answerError({ status: 405, headers: {}, body: Buffer.alloc(0) }, title, method);
    const way = url.protocol === 'https:' ? 'TLS' : 'HTTP without TLS';
    return { message: `${way}: ${title} answers (${status} to OPTIONS); whether it takes documents only an export shows` };
  }

  /** A server that takes documents says nothing of them. */
  async check(): Promise<CheckResult> {
    return { rows: undefined, digest: undefined, isLog: true };
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { identity, upsertCount, completeTargets, knownTargets, staleLimit, since, maxDocumentBytes } = change;
    if (upsertCount + completeTargets.length === 0 && knownTargets === undefined) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    const snapshot = await snapshotOf(change.upserts);
    const former = this.#sent.get(keyOf(identity)) ?? nothingSent;
    const gone = since ? since.deletes.filter(({ targetName }) => !staleLimit?.exempt.includes(targetName)).length : Math.max(0, former.rows - snapshot.rows.length);
    if (staleLimit && gone > staleLimit.rows) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [], held: gone };
    const content = hash('sha256', JSON.stringify([identity, snapshot.checksum, maxDocumentBytes ?? 0]));
    const pending = former.pending?.content === content ? former.pending : { content, exportedAt: new Date(), number: this.#next++ };
    const { exportedAt } = pending;
    const { parts, rejected } = await partition(snapshot, { identity, exportedAt }, maxDocumentBytes);
    const confirmed = snapshot.rows.length - rejected.length;
    if (former.content === content) return { confirmed, written: 0, deleted: 0, bytes: 0, rejected };
    this.#sent.set(keyOf(identity), { ...former, content: undefined, pending });
    let bytes = 0;
    for (const part of parts) bytes += await this.#send({ identity, exportedAt, ...part }, pending.number, signal);
    this.#sent.set(keyOf(identity), { content, rows: snapshot.rows.length });
    return { confirmed, written: confirmed, deleted: 0, bytes, rejected };
  }

  /** The server is told that the inventory is empty. */
  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    if (!isOwn) return { deleted: 0 };
    const key = keyOf(identity);
    const { rows } = this.#sent.get(key) ?? nothingSent;
    await this.#send({ identity, exportedAt: new Date(), ...(await snapshotOf([])) }, this.#next++, signal);
    this.#sent.delete(key);
    return { deleted: rows };
  }

  async close(): Promise<void> {
    await this.#release();
  }

  async #send(contents: Contents, number: number, signal: AbortSignal): Promise<number> {
    const { method, url, headers, signature, title } = this.#settings;
    const { identity, checksum, part, rows } = contents;
    const serialization = serializationOf(this.#context.spec);
    const { contentType, contentEncoding } = documentType(serialization);
    const make = (): AsyncIterable<Uint8Array> => writeDocument(serialization, contents);
    for (let at = url, redirects = 0; ; redirects++) {
      const body = await bodyOf(make, signature, signal);
      this.#context.fence(commitMs);
      const answer = await this.#ask(
        {
          method,
          url: at,
          body: body.bytes,
          headers: {
            'user-agent': 'kollect',
            'content-type': contentType,
            ...(contentEncoding !== undefined && { 'content-encoding': contentEncoding }),
            'content-length': body.size,
            ...factsOf(identity, rows.length, checksum, part),
            'idempotency-key': hash('sha256', JSON.stringify([this.#run, identity, part ?? {}, number, checksum])),
            ...headers,
            ...(signature && body.signature !== undefined && { [signature.header]: body.signature }),
          },
        },
        answerMs + Math.ceil(body.size / (1024 * 1024)) * perMebibyteMs,
        signal,
      );
      if (answer.status >= 200 && answer.status < 300) return body.size;
      const next = redirectOf(answer, at);
      // Credentials are for this server only, and another method would be another request.
      if (!next || next.origin !== url.origin || redirects === maxRedirects) throw answerError(answer, title, method);
      at = next;
    }
  }

  async #ask(request: HttpRequest, timeoutMs: number, signal: AbortSignal): Promise<HttpAnswer> {
    try {
      return await httpRequest(this.#agents, { ...request, maxBytes: maxAnswerBytes, isCut: true }, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
    } catch (error) {
      throw connectionError(error, this.#settings.title, signal);
    }
  }
}

/** Where an answer sends the same request to. */
function redirectOf({ status, headers }: HttpAnswer, from: URL): URL | undefined {
  if ((status !== 307 && status !== 308) || headers.location === undefined) return undefined;
  return URL.parse(headers.location, from.href) ?? undefined;
}

function keyOf({ namespace, name, cluster }: InventoryIdentity): string {
  return JSON.stringify([namespace, name, cluster]);
}

/** What receivers can go by without a look at the document. */
function factsOf({ cluster, namespace, name, generation }: InventoryIdentity, rows: number, checksum: string, part: Contents['part']): Record<string, string> {
  return {
    ...(cluster !== '' && { 'x-kollect-cluster': encodeURIComponent(cluster) }),
    'x-kollect-namespace': namespace,
    'x-kollect-inventory': name,
    'x-kollect-generation': String(generation),
    'x-kollect-rows': String(rows),
    'x-kollect-checksum': checksum,
    ...(part && { 'x-kollect-part': `${part.index}/${part.total}` }),
  };
}
