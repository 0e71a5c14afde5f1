import { X509Certificate, createPrivateKey } from 'node:crypto';
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import type { Logger } from '../shared/log.ts';
import type { WebhookMetrics } from './metrics.ts';
import { tlsDefaults } from './server.ts';
import type { ServingCertificate } from './server.ts';

export interface CertificateFiles {
  directory: string;
  certificateName: string;
  keyName: string;
  /** Authorities of the clients, a file of its own. */
  clientCa?: string | undefined;
}

/** A pair that was found good: it parses, and the key belongs to the certificate. */
export interface VerifiedCertificate extends ServingCertificate {
  expiresAt: Date;
}

/** Reads the pair and verifies it. Throws an `Error` that names the file and what is wrong; never quotes the key. */
async function readCertificate(files: CertificateFiles): Promise<VerifiedCertificate> {
  const { clientCa } = files;
  const [cert, key, ca] = await Promise.all([
    readFile(join(files.directory, files.certificateName), 'utf8'),
    readFile(join(files.directory, files.keyName), 'utf8'),
    clientCa === undefined ? undefined : readFile(clientCa, 'utf8'),
  ]);
  const certificate = attempt(() => new X509Certificate(cert), `${files.certificateName} is not a PEM certificate`);
  const privateKey = attempt(() => createPrivateKey(key), `${files.keyName} is not a PEM private key`);
  if (!certificate.checkPrivateKey(privateKey)) throw new Error(`${files.keyName} is not the key of ${files.certificateName}`);
  if (ca !== undefined) attempt(() => new X509Certificate(ca), `${clientCa} is not a PEM certificate`);
  const pair = { cert, key, ...(ca === undefined ? {} : { ca }) };
  attempt(() => createSecureContext({ ...pair, ...tlsDefaults }), `${files.certificateName} and ${files.keyName} cannot be served`);
  return { ...pair, expiresAt: new Date(certificate.validTo) };
}

/**
 * The first pair, once there is one: a pod may start before its certificate was issued. Says once what it waits for.
 *
 * @returns nothing when `signal` ended the waiting.
 */
export async function firstCertificate(files: CertificateFiles, { log, signal, pollMs = 500 }: { log: Logger; signal: AbortSignal; pollMs?: number }): Promise<VerifiedCertificate | undefined> {
  let lastProblem = '';
  while (!signal.aborted) {
    try {
      return await readCertificate(files);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (problem !== lastProblem) log.warn('waiting for a certificate that can be served', { directory: files.directory, error });
      lastProblem = problem;
    }
    await sleep(pollMs, undefined, { signal }).catch(() => {});
  }
  return undefined;
}

export interface ReloadOptions {
  files: CertificateFiles;
  /** What is served now. */
  current: ServingCertificate;
  /** Puts a verified pair into service. */
  serve: (certificate: ServingCertificate) => void;
  metrics: WebhookMetrics;
  log: Logger;
  /** Some file systems report no changes. */
  pollMs?: number;
}

/** Kubelet and cert-manager write several files; half of them is no pair. */
const settleMs = 100;

/**
 * Serves a new pair once it is on disk, without dropping a connection. A pair that cannot be used is reported once and the one in service
 * stays.
 *
 * @returns stops watching.
 */
export function reloadCertificate(options: ReloadOptions): () => void {
  const { files, metrics, log, pollMs = 10_000 } = options;
  let current = options.current;
  let lastProblem = '';
  let stopped = false;
  let settling: NodeJS.Timeout | undefined;

  const reload = async () => {
    try {
      const next = await readCertificate(files);
      lastProblem = '';
      if (stopped || (next.cert === current.cert && next.key === current.key && next.ca === current.ca)) return;
      options.serve(next);
      current = next;
      metrics.certificateServed(next.expiresAt);
      log.info('serving a new certificate', { expiresAt: next.expiresAt.toISOString() });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (stopped || problem === lastProblem) return;
      lastProblem = problem;
      metrics.certificateRefused();
      log.error('the new certificate cannot be used, the one before stays in service', { directory: files.directory, error });
    }
  };
  const soon = () => {
    clearTimeout(settling);
    settling = setTimeout(() => void reload(), settleMs);
  };

  const poll = setInterval(() => void reload(), pollMs);
  // The directory, not the files: a mounted Secret swaps a link beside them.
  const watcher = watch(files.directory, soon);
  watcher.on('error', (error) => log.warn('cannot watch the certificate directory, polling goes on', { directory: files.directory, error }));
  return () => {
    stopped = true;
    clearInterval(poll);
    clearTimeout(settling);
    watcher.close();
  };
}

function attempt<T>(read: () => T, problem: string): T {
  try {
    return read();
  } catch (error) {
    throw new Error(problem, { cause: error });
  }
}
