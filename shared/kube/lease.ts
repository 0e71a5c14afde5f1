import type { KubeObject } from '../api/kube-object.ts';
import { KubeApiError, type KubeClient } from './client.ts';

export interface LeaseSpec {
  /** Empty: nobody holds it. */
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  /** How often it has changed hands. */
  leaseTransitions?: number;
}

export interface Lease extends KubeObject {
  spec?: LeaseSpec;
}

/** Reads and writes one Lease of `coordination.k8s.io/v1`. Of two that write what they read at the same time, one gets a `KubeApiError` 409. */
export class LeaseStore {
  readonly namespace: string;
  readonly name: string;
  readonly #client: KubeClient;

  constructor(client: KubeClient, { namespace, name }: { namespace: string; name: string }) {
    this.#client = client;
    this.namespace = namespace;
    this.name = name;
  }

  /** Undefined when there is none. */
  async read(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#client.get<Lease>(`${this.#collection}/${this.name}`, {}, signal);
    } catch (error) {
      if (error instanceof KubeApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Writes over `lease` as it was read, or creates it when there was none. Gives it as it is now. */
  async write(lease: Lease | undefined, spec: LeaseSpec, signal: AbortSignal): Promise<Lease> {
    if (lease) return await this.#client.replace<Lease>(`${this.#collection}/${this.name}`, { ...lease, spec: { ...lease.spec, ...spec } }, signal);
    const { name, namespace } = this;
    return await this.#client.create<Lease>(this.#collection, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec }, {}, signal);
  }

  get #collection(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.namespace}/leases`;
  }
}

/** The time of day as Leases have it, for people to read: microseconds, which Node does not know. */
export function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
