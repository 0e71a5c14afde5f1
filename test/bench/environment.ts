import pg from 'pg';
import { startKollect, type Kollect } from '../behaviour/harness.ts';
import { inventory, profile, secret, sink } from '../behaviour/objects.ts';
import { eventually } from '../servers/eventually.ts';
import { BareClient } from './bare-client.ts';
import { ControllerUnderTest } from './controller-under-test.ts';
import { benchAttributes, benchDeployment } from './deployments.ts';
import { GeneratedDeployments } from './generated-deployments.ts';

export const table = 'inventory_items';
const namespace = 'bench';
const group = '/apis/kollect.dev/v1alpha1';
const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;

/** A real cluster with Deployments of one namespace, PostgreSQL, and the controller; profile, Secret and sink exist, target and inventory come with a measure. */
export class Environment {
  readonly kollect: Kollect;
  readonly api: BareClient;
  readonly database: pg.Client;
  readonly controller: ControllerUnderTest;
  readonly report: (line: string) => void;
  /** Stands in for what etcd would hold. */
  readonly generated: GeneratedDeployments | undefined;
  #rows = 0;

  private constructor(parts: Pick<Environment, 'kollect' | 'api' | 'database' | 'controller' | 'report' | 'generated'>) {
    ({ kollect: this.kollect, api: this.api, database: this.database, controller: this.controller, report: this.report, generated: this.generated } = parts);
  }

  /** @param profiles folder for CPU profiles of the controller; @param generate see {@link GeneratedDeployments} */
  static async start(report: (line: string) => void, profiles: string | undefined, generate = false): Promise<Environment> {
    const kollect = await startKollect({
      startController: false,
      report,
      cluster: {
        controllerManager: false,
        etcdFlags: ['--quota-backend-bytes=8589934592', '--unsafe-no-fsync'],
        apiserverFlags: ['--max-requests-inflight=3000', '--max-mutating-requests-inflight=1000'],
      },
    });
    try {
      await kollect.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      const options = { namespace, dsn: kollect.dsn, attributes: benchAttributes };
      await kollect.apply([secret(options), profile(options), sink({ ...options, sinkSpec: 'options: {statement_timeout: "30000"}' })].join('---\n'));
      const database = new pg.Client(kollect.dsn);
      await database.connect();
      const api = new BareClient(kollect.cluster);
      const generated = generate ? await GeneratedDeployments.start(kollect.cluster, ...(await sample(api))) : undefined;
      const controller = await ControllerUnderTest.create({ keeper: kollect.cluster.keeper, kubeconfig: (generated ?? kollect.cluster).kubeconfig }, profiles);
      return new Environment({ kollect, api, database, controller, report, generated });
    } catch (error) {
      await kollect.stop();
      throw error;
    }
  }

  /** Number of Deployments. */
  get rows(): number {
    return this.#rows;
  }

  /** Creates Deployments until there are `rows`. */
  async fill(rows: number): Promise<void> {
    this.report(`creating Deployments up to ${rows}`);
    const before = this.#rows;
    this.#rows = rows;
    if (this.generated) return this.generated.fill(rows);
    const create = (index: number): Promise<string> => this.api.request('POST', deployments, benchDeployment(index));
    await this.api.each(before, rows, create, (done) => this.report(`  ${done} created`));
  }

  /** Gives a Deployment a number of replicas; the result is the uid. */
  async scale(index: number, replicas: number): Promise<string> {
    if (this.generated) return this.generated.scale(index, replicas);
    const answer = await this.api.request('PATCH', `${deployments}/d${index}`, { spec: { replicas } }, 'application/merge-patch+json');
    return (JSON.parse(answer) as { metadata: { uid: string } }).metadata.uid;
  }

  /** Not with kubectl, whose start takes as long as collecting some thousand objects. */
  async createTarget(): Promise<void> {
    const object = { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectTarget', metadata: { name: 'web' }, spec: { profileRef: 'deployments' } };
    await this.api.request('POST', `${group}/namespaces/${namespace}/kollecttargets`, object);
  }

  /** Resolves when status says that all Deployments are collected. */
  async untilCollected(): Promise<void> {
    await eventually(
      async () => {
        const { status } = JSON.parse(await this.api.request('GET', `${group}/namespaces/${namespace}/kollecttargets/web`)) as TargetObject;
        return status?.collectedCount === this.#rows && status.conditions?.some(({ type, status: value }) => type === 'Synced' && value === 'True');
      },
      { timeoutMs: 900_000, intervalMs: 20, what: `${this.#rows} collected objects` },
    );
  }

  async applyInventory(): Promise<void> {
    await this.kollect.apply(inventory({ namespace, dsn: '' }));
  }

  /** Sets fields of the inventory's spec. */
  async editInventory(spec: object): Promise<void> {
    await this.api.request('PATCH', `${group}/namespaces/${namespace}/kollectinventories/inventory`, { spec }, 'application/merge-patch+json');
  }

  async inventoryVersion(): Promise<string> {
    return (JSON.parse(await this.api.request('GET', `${group}/namespaces/${namespace}/kollectinventories/inventory`)) as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
  }

  /** Passes of a mode that the controller logged. */
  passes(mode: string): Record<string, unknown>[] {
    return this.controller.process.logEntries().filter((entry) => entry['msg'] === 'exported' && entry['mode'] === mode);
  }

  /** Deletes the inventory, which takes its rows along, and then the empty table: the next export is a first one. */
  async deleteInventory(): Promise<void> {
    await this.kollect.kubectl(['delete', 'kinv', 'inventory', `--namespace=${namespace}`, '--timeout=120s']);
    await this.database.query(`DROP TABLE IF EXISTS ${table}`);
  }

  /** Ends the controller, and leaves the target and the inventory as if there had been none. */
  async reset(): Promise<void> {
    await this.controller.process.kill('SIGKILL');
    for (const path of ['kollecttargets/web', 'kollectinventories/inventory']) {
      const whole = `${group}/namespaces/${namespace}/${path}`;
      // Nobody is there to remove the finalizers.
      await this.api.request('PATCH', whole, { metadata: { finalizers: null } }, 'application/merge-patch+json').catch(ignoreMissing);
      await this.api.request('DELETE', whole).catch(ignoreMissing);
    }
    await this.database.query(`DROP TABLE IF EXISTS ${table}`);
  }

  async stop(): Promise<void> {
    await this.database.end().catch(() => undefined);
    await this.api.close();
    this.generated?.stop();
    await this.kollect.stop();
  }
}

/** A Deployment as the API server stores it, and the number in its names. */
async function sample(api: BareClient): Promise<[text: string, index: number]> {
  const index = 987_654_321;
  await api.request('POST', deployments, benchDeployment(index));
  const text = await api.request('GET', `${deployments}/d${index}`);
  await api.request('DELETE', `${deployments}/d${index}`);
  return [text, index];
}

interface TargetObject {
  status?: { collectedCount?: number; conditions?: { type: string; status: string }[] };
}

function ignoreMissing(error: unknown): void {
  if (!String(error).includes(': 404 ')) throw error;
}
