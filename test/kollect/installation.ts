import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { GROUP } from '../../shared/api/group.ts';
import { kinds } from '../../shared/api/kinds.ts';
import { freePort } from '../servers/free-port.ts';
import type { Keeper, ProcessCommand } from '../servers/keeper.ts';
import { untilEstablished } from '../servers/kubernetes/established.ts';
import type { Kubectl } from '../servers/kubernetes/kubectl.ts';
import { kollectProcess } from './process.ts';
import type { KollectProcess, KollectProcessOptions } from './process.ts';

/** Where the walkthrough's Secret says the database is, and where PostgreSQL listens on this machine. */
export function postgresHost(port: number): string {
  return `postgres.kollect-system.svc:5432=127.0.0.1:${port}`;
}

export interface WebhookProcess extends KollectProcess {
  port: number;
  /** How a process on this machine reaches it. */
  url: string;
  /** Its authority. */
  caPem: string;
}

export interface WebhookOptions {
  /** Names and addresses that it is called by; 127.0.0.1 when unset. */
  hosts?: readonly string[];
  /** Of the cluster that it judges for; that of the administrator of the keeper's own cluster when unset. */
  kubeconfig?: string;
  flags?: readonly string[];
  afterwards?: ProcessCommand;
}

/** The webhook with a certificate of its own, not started yet. */
export async function webhookProcess(keeper: Keeper, options: WebhookOptions = {}): Promise<WebhookProcess> {
  const { hosts = ['127.0.0.1'], kubeconfig = join(keeper.folder, 'admin.kubeconfig'), flags = [], afterwards } = options;
  const folder = join(keeper.folder, 'webhook-certificate');
  mkdirSync(folder);
  const authority = createAuthority('Kollect test authority');
  const { certificate, key } = issueCertificate(authority, { hosts });
  writeFileSync(join(folder, 'tls.crt'), certificate);
  writeFileSync(join(folder, 'tls.key'), key, { mode: 0o600 });
  const port = await freePort();
  // No endpoint has to forget it before it stops.
  const own = [`--port=${port}`, `--cert-path=${folder}`, `--kubeconfig=${kubeconfig}`, '--shutdown-delay=0s'];
  const process = kollectProcess(keeper, { name: 'webhook', flags: [...own, ...flags], healthPort: await freePort(), afterwards });
  const start: WebhookProcess['start'] = (others) => process.start(others && [...own, ...others]);
  return { ...process, start, port, url: `https://127.0.0.1:${port}`, caPem: authority.certificate };
}

export interface ControllerProcess extends KollectProcess {
  metricsUrl: string;
}

export interface ControllerProcessOptions extends Pick<KollectProcessOptions, 'instance' | 'environment'> {
  kubeconfig: string;
  flags?: readonly string[];
}

/** The controller, not started yet. */
export async function controllerProcess(keeper: Keeper, options: ControllerProcessOptions): Promise<ControllerProcess> {
  const { instance, environment } = options;
  const metricsPort = await freePort();
  const all = [`--kubeconfig=${options.kubeconfig}`, `--metrics-bind-address=127.0.0.1:${metricsPort}`, ...(options.flags ?? [])];
  return { ...kollectProcess(keeper, { name: 'controller', instance, environment, flags: all, healthPort: await freePort() }), metricsUrl: `http://127.0.0.1:${metricsPort}/metrics` };
}

const manifests = join(import.meta.dirname, '..', '..', 'manifests');
const crdFolder = join(manifests, 'crds');

/** Names of our CRDs. */
export const crdNames: readonly string[] = kinds.map(({ plural }) => `${plural}.${GROUP}`);

/** CRDs that take any spec: for objects that an earlier version admitted. `installCrds` then brings the rules of this one. */
export async function installLaxCrds(kubectl: Kubectl): Promise<void> {
  const lax = crdNames.map((name) => {
    const crd = Crd.parse(parse(readFileSync(crdFile(name), 'utf8')));
    for (const { schema } of crd.spec.versions) schema.openAPIV3Schema.properties['spec'] = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    return crd;
  });
  await done(kubectl(['apply', '--server-side', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: lax }) }));
  await untilEstablished(kubectl, crdNames);
}

const Crd = z.looseObject({
  spec: z.looseObject({ versions: z.array(z.looseObject({ schema: z.looseObject({ openAPIV3Schema: z.looseObject({ properties: z.record(z.string(), z.unknown()) }) }) })) }),
});

/** Applies CRDs, all by default, and waits for them: objects that are applied before a CRD is established fail. */
export async function installCrds(kubectl: Kubectl, names: readonly string[] = crdNames): Promise<void> {
  if (names.length === 0) return;
  await done(kubectl(['apply', '--server-side', ...names.map((name) => `--filename=${crdFile(name)}`)]));
  await untilEstablished(kubectl, names);
}

/** The rules that the API server holds by itself besides those of the CRDs; those of an overlay when one is named. They act a moment later. */
export async function installPolicies(kubectl: Kubectl, overlay = ''): Promise<void> {
  await done(kubectl(['apply', '--server-side', '-k', join(manifests, 'admission-policy', overlay)]));
}

async function done(command: ReturnType<Kubectl>): Promise<void> {
  const { code, stderr } = await command;
  if (code !== 0) throw new Error(stderr);
}

function crdFile(name: string): string {
  return join(crdFolder, `${GROUP}_${name.split('.', 1)[0]}.yaml`);
}
