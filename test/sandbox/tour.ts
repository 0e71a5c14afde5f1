import { setTimeout as pause } from 'node:timers/promises';
import type { CommandResult } from '../servers/run-command.ts';
import { eventually } from '../servers/eventually.ts';
import type { CollectedItem, RowChange } from './database.ts';
import type { Environment } from './environment.ts';
import { explain } from './row-change.ts';
import { refusals } from './refusals.ts';
import type { Screen } from './screen.ts';
import { shellWord } from './shell-word.ts';

/** What the sandbox shows. Rejects at the first thing that is not as it should be. */
export class Tour {
  readonly #environment: Environment;
  readonly #screen: Screen;
  readonly #signal: AbortSignal;

  constructor(environment: Environment, screen: Screen, signal: AbortSignal) {
    this.#environment = environment;
    this.#screen = screen;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    await this.#secret();
    await this.#samples();
    await this.#rows();
    await this.#changes();
    await this.#refusals();
    await this.#status();
  }

  async #secret(): Promise<void> {
    this.#screen.heading('1. A Secret says where the database is');
    await this.#kubectl('apply', '-n', this.#environment.secretNamespace, '-f', 'test/sandbox/objects/secret.yaml');
  }

  async #samples(): Promise<void> {
    this.#screen.heading('2. The samples: what to collect, where from, where to');
    const { samples, namespace } = this.#environment;
    await this.#kubectl('apply', '-k', samples);
    await this.#kubectl('wait', '--for=condition=ConnectionVerified', 'kdb/postgres-inventory-demo', '-n', namespace, '--timeout=60s');
  }

  async #rows(): Promise<void> {
    this.#screen.heading('3. Deployments become rows');
    const { namespace, database } = this.#environment;
    await this.#change({ operation: 'INSERT', names: ['api', 'cache', 'web'] }, 'apply', '-n', namespace, '-f', 'test/sandbox/objects/deployments.yaml');
    const rows = await database.rows();
    this.#screen.line();
    this.#screen.table(
      ['kind', 'namespace', 'name', 'replicas', 'containers', 'image'],
      rows.map(({ kind, namespace: where, name, attributes }) => [kind, where, name, ...['replicas', 'containers', 'image'].map((key) => String(attributes[key]))]),
    );
    expect(sameNames(rows, ['api', 'cache', 'web']), `the table holds ${rows.map(({ name }) => name).join(', ')}`);
  }

  async #changes(): Promise<void> {
    this.#screen.heading('4. A change is one row');
    const { namespace, database } = this.#environment;
    await this.#change({ operation: 'UPDATE', names: ['web'] }, 'scale', '-n', namespace, 'deployment/web', '--replicas=5');
    await this.#change({ operation: 'DELETE', names: ['cache'] }, 'delete', '-n', namespace, 'deployment/cache');
    const rows = await database.rows();
    expect(sameNames(rows, ['api', 'web']) && rows[1]?.attributes['replicas'] === 5, `the table holds ${JSON.stringify(rows)}`);
  }

  async #status(): Promise<void> {
    this.#screen.heading('6. The status says how it stands');
    this.#screen.note('Counts are written at most every ten seconds.');
    const { namespace, kubectl } = this.#environment;
    await this.#silent('wait', '--for=condition=Ready', 'kinv/deployments', 'ktgt/deployments', '-n', namespace, '--timeout=60s');
    // Counts follow within ten seconds: status is not written for each row.
    const counts = ['get', 'ktgt/deployments', 'kinv/deployments', '-n', namespace, '-o=jsonpath={.items[*].status.collectedCount} {.items[*].status.itemCount}'];
    await eventually(async () => (await kubectl(counts)).stdout === '2 2', { what: 'counts of 2 in the status', intervalMs: 200 });
    for (const resource of ['kinv', 'ktgt', 'kdb']) await this.#kubectl('get', resource, '-n', namespace);
  }

  async #refusals(): Promise<void> {
    const { namespace, withoutWebhook, kubectl } = this.#environment;
    if (withoutWebhook !== undefined) return this.#withoutWebhook();
    this.#screen.heading('5. Mistakes are refused at once, with the field and what to write instead');
    for (const { title, file, field, fix } of refusals) {
      this.#screen.line(`${title}:`);
      const args = ['apply', '-n', namespace, '-f', file];
      const { code, stderr } = await this.#show(args);
      this.#screen.line();
      expect(code !== 0, `${file} was admitted`);
      expect(stderr.includes(field) && fix.test(stderr), `the refusal of ${file} does not name ${field} and what to do: ${stderr}`);
      const dryRun = await kubectl([...args, '--dry-run=server']);
      expect(dryRun.code !== 0 && dryRun.stderr === stderr, `with --dry-run=server ${file} got another answer: ${dryRun.stderr || dryRun.stdout}`);
    }
    this.#screen.good(`${refusals.length} of ${refusals.length} refused; --dry-run=server says the same, word for word`);
  }

  /** Admitted then, but the controller applies the same rules and says so in the status. */
  async #withoutWebhook(): Promise<void> {
    const { namespace, kubectl } = this.#environment;
    const refusal = refusals.find(({ inStatus }) => inStatus);
    if (refusal === undefined) return;
    const { title, file, field, fix, inStatus } = refusal;
    this.#screen.heading('5. Without the webhook mistakes are found by the controller, and are in the status');
    this.#screen.line('It applies the same rules. kubectl itself is refused only what the API server can judge by the CustomResourceDefinitions.');
    this.#screen.line(`${title}:`);
    await this.#kubectl('apply', '-n', namespace, '-f', file);
    const read = ['get', '-n', namespace, inStatus ?? '', `-o=jsonpath={.status.conditions[?(@.type=="Degraded")].message}`];
    await eventually(async () => (await kubectl(read)).stdout !== '', { what: `a message in the status of ${inStatus}` });
    const { stdout } = await this.#show(read);
    expect(stdout.includes(field) && fix.test(stdout), `the status does not name ${field} and what to do: ${stdout}`);
    await this.#kubectl('delete', '-n', namespace, '-f', file);
  }

  /** Runs a command and holds it to the rows that it has to write: these and no other. */
  async #change(wanted: { operation: RowChange['operation']; names: readonly string[] }, ...args: string[]): Promise<void> {
    const seen: { change: RowChange; atMs: number }[] = [];
    const since = performance.now();
    const unlisten = this.#environment.database.onChange((change) => void seen.push({ change, atMs: performance.now() - since }));
    try {
      await this.#kubectl(...args);
      const commandMs = performance.now() - since;
      await eventually(() => seen.length >= wanted.names.length, { what: `${wanted.names.length} row(s) to be written`, intervalMs: 5 });
      await pause(settleMs);
      for (const { change } of seen) this.#screen.note(explain(change));
      const names = seen.map(({ change }) => change.name).toSorted();
      const isRight = JSON.stringify(names) === JSON.stringify(wanted.names) && seen.every(({ change }) => change.operation === wanted.operation);
      const text = seen.map(({ change }) => explain(change)).join('; ');
      expect(isRight, `expected ${wanted.operation} of ${wanted.names.join(', ')} and nothing else, but the database saw: ${text}`);
      const rowMs = Math.max(...seen.map(({ atMs }) => atMs));
      this.#screen.good(`exactly ${count(seen.length)}, ${Math.round(rowMs)} ms after the command began (kubectl itself returned after ${Math.round(commandMs)} ms)`);
    } finally {
      unlisten();
    }
  }

  /** Shows a command and its output, which must be that of a success. */
  async #kubectl(...args: string[]): Promise<CommandResult> {
    const result = await this.#show(args);
    expect(result.code === 0, `kubectl ${args[0]} ended with code ${result.code}`);
    return result;
  }

  async #silent(...args: string[]): Promise<void> {
    const { code, stderr } = await this.#environment.kubectl(args);
    expect(code === 0, `kubectl ${args.join(' ')}: ${stderr}`);
  }

  async #show(args: readonly string[]): Promise<CommandResult> {
    this.#signal.throwIfAborted();
    this.#screen.command(`kubectl ${args.map(shellWord).join(' ')}`);
    const result = await this.#environment.kubectl(args);
    this.#signal.throwIfAborted();
    for (const text of [result.stdout, result.stderr]) if (text !== '') this.#screen.line(text);
    return result;
  }
}

/** Time for a further write that should not be there. */
const settleMs = 300;

function count(rows: number): string {
  return rows === 1 ? 'one row' : `${rows} rows`;
}

function sameNames(rows: readonly CollectedItem[], names: readonly string[]): boolean {
  return JSON.stringify(rows.map(({ name }) => name)) === JSON.stringify(names);
}

function expect(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw new Error(otherwise);
}
