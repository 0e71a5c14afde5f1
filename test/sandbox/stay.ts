import { join } from 'node:path';
import type { RowChange } from './database.ts';
import type { Environment } from './environment.ts';
import { explain } from './row-change.ts';
import type { Screen } from './screen.ts';

/** Lines a second; above that the rest is counted. */
const maxLinesPerSecond = 30;

/** Says how to use what runs. */
export function invite({ kubeconfig, kubectlPath, namespace, database, folder }: Environment, screen: Screen): void {
  screen.heading('It is yours now, in another terminal');
  screen.toType(`export KUBECONFIG=${kubeconfig}`);
  if (kubectlPath !== 'kubectl') screen.toType(`alias kubectl=${kubectlPath}`);
  screen.toType('kubectl get kinv,ktgt,kdb -A');
  screen.toType(`kubectl scale -n ${namespace} deployment/web --replicas=7`);
  screen.toType(`kubectl create -n ${namespace} deployment mine --image=busybox --replicas=0`);
  screen.toType(`psql ${database.url} -c 'select payload from inventory_items'`);
  screen.toType(`tail -f ${join(folder, '{webhook,controller}.log')}`);
  screen.line();
  screen.line('Each row that changes is shown here. Ctrl-C ends and removes everything.');
  screen.line();
}

/** Shows changes until the signal; rejects when a process of Kollect has ended by itself. */
export async function stay(environment: Environment, screen: Screen, until: AbortSignal): Promise<void> {
  let lines = 0;
  let uncounted = 0;
  const show = (change: RowChange) => {
    if (++lines > maxLinesPerSecond) uncounted++;
    else screen.line(`${clock()}  ${explain(change)}`);
  };
  const unlisten = environment.database.onChange(show);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const everySecond = setInterval(() => {
    if (uncounted > 0) screen.note(`… and ${uncounted} more`);
    lines = 0;
    uncounted = 0;
    for (const name of ['webhook', 'controller'] as const) if (environment[name].exit() !== undefined) reject(new Error(`the ${name} has ended`));
  }, 1_000);
  if (until.aborted) resolve();
  until.addEventListener('abort', () => resolve(), { once: true });
  try {
    await promise;
  } finally {
    clearInterval(everySecond);
    unlisten();
  }
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8);
}
