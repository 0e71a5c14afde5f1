import { createHash } from 'node:crypto';
import t from 'tap';
import type { BindingOptions } from '../../controller/inventory/binding-options.ts';
import { rowsThere, type PreviousState } from '../../controller/inventory/binding-state.ts';
import { sinkVerdict } from '../../controller/inventory/inventory-verdicts.ts';
import { startNats } from '../servers/nats/index.ts';
import { canary } from '../sinks/conformance.ts';
import { natsPlace } from '../sinks/nats-place.ts';
import { memory, startBinding, until } from './binding-fixture.ts';

// What a stream was told before a restart nobody can ask it for. Deletions are judged by what status says.

const server = await startNats({ config: () => `authorization { user: kollect, password: "${canary}" }` });
const ends: (() => Promise<void> | void)[] = [() => server.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});

const facts = (target: string, uid: string) => {
  const payload = JSON.stringify({ targetNamespace: 'shop', targetName: target, namespace: 'shop', name: uid, version: 'v1', kind: 'Pod', uid, attributes: {} });
  return { namespace: 'shop', name: uid, uid, payload, resourceVersion: '1', failures: 0, hash: createHash('sha256').update(payload).digest().toString('latin1') };
};

async function stream(mode: 'aggregate' | 'perItem') {
  const place = await natsPlace(server, mode, (end) => ends.push(end));
  /** A process that exports targets to the stream, with what status says at its start. */
  const start = (previous?: PreviousState, options: Partial<BindingOptions> = {}) => {
    const open = async () => ({ ...memory, granularity: mode === 'perItem' ? ('row' as const) : ('document' as const), sink: await place.open(), queue: process.queue });
    const process = startBinding({ previous, open, intervalMs: 50, quietMs: 20, ...options });
    const add = (target: string, from: number, to: number): void => {
      const rows = process.rowsOf(target);
      for (let index = from; index < to; index++) rows.upsert(facts(target, `u${index}`));
    };
    /** What status says of it when it ends. */
    const end = async (): Promise<PreviousState> => {
      const { state, dirty } = process.binding;
      await process.binding.close();
      return { dirty, fingerprint: 'here', lastChecksum: state.lastChecksum, rows: rowsThere(state), conditions: [sinkVerdict(process.binding)] };
    };
    return { ...process, add, end };
  };
  const count = async (): Promise<number> => (await place.contents()).length;
  /** A process that has exported so many rows of each target. */
  const exported = async (rows: Record<string, number>): Promise<PreviousState> => {
    const process = start();
    for (const [target, number] of Object.entries(rows)) {
      process.add(target, 0, number);
      process.sync(target);
    }
    await until(() => process.binding.state.phase === 'Exported' && !process.binding.dirty);
    return await process.end();
  };
  return { place, start, count, exported };
}

for (const mode of ['aggregate', 'perItem'] as const) {
  t.test(`${mode}: rows that went while no process ran stay until it is allowed, through another restart`, async (t) => {
    const { start, count, exported } = await stream(mode);
    let status = await exported({ web: 300 });
    t.equal(await count(), 300);
    for (const restart of ['first', 'second']) {
      const process = start(status);
      process.add('web', 0, 10);
      process.sync('web');
      await until(() => process.binding.state.held !== undefined);
      t.match(process.binding.state.held, { reason: 'guard', stale: 290 }, restart);
      t.match(sinkVerdict(process.binding), { status: 'False', reason: 'DeletionHeld' });
      t.equal(await count(), 300);
      status = await process.end();
      t.match(status, { rows: 300 });
    }
    const third = start(status);
    third.add('web', 0, 10);
    third.sync('web');
    await until(() => third.binding.state.held !== undefined);
    await third.binding.allowDeletions();
    t.equal(await count(), 10);
    t.equal(third.binding.state.held, undefined);
    third.add('web', 10, 12);
    await until(() => third.binding.state.rows === 12);
    t.equal(await count(), 12);
    await third.binding.close();
  });

  t.test(`${mode}: rows that are back go on as if nothing had been`, async (t) => {
    const { start, count, exported } = await stream(mode);
    const process = start(await exported({ web: 300 }));
    process.add('web', 0, 10);
    process.sync('web');
    await until(() => process.binding.state.held !== undefined);
    process.add('web', 10, 250);
    await until(() => process.binding.state.phase === 'Exported' && process.binding.state.held === undefined && process.binding.lag.rows === 0);
    t.equal(await count(), 250, 'and few may always go');
    t.equal(rowsThere(process.binding.state), 250);
    await process.binding.close();
  });

  t.test(`${mode}: while deletions are paused none is told, though as many came as went`, async (t) => {
    const { place, start, count, exported } = await stream(mode);
    const process = start(await exported({ web: 30 }));
    process.binding.pauseDeletions(true);
    process.add('web', 5, 35);
    process.sync('web');
    await until(() => process.binding.state.held !== undefined);
    t.match(process.binding.state.held, { reason: 'paused' });
    t.equal(await count(), mode === 'aggregate' ? 30 : 35);
    process.binding.pauseDeletions(false);
    await until(() => process.binding.state.held === undefined);
    t.equal(await count(), 30);
    t.notOk((await place.contents()).some(({ uid }) => uid === 'u0'));
    await process.binding.close();
  });

  t.test(`${mode}: where status knows of no rows, or of few, nothing is held`, async (t) => {
    const { start, count, exported } = await stream(mode);
    const status = await exported({ web: 100 });
    for (const [previous, left] of [[status, 1], [undefined, 2], [{ ...status, fingerprint: 'there', rows: 300 }, 3]] as const) {
      const process = start(previous);
      process.add('web', 0, left);
      process.sync('web');
      await until(() => process.binding.state.phase === 'Exported');
      t.equal(process.binding.state.held, undefined);
      t.equal(await count(), left);
      await process.binding.close();
    }
  });
}

t.test('aggregate: a target that leaves out more than is known is exported as ever', async (t) => {
  const { start, count, exported } = await stream('aggregate');
  const process = start(await exported({ web: 200 }));
  const web = process.store.open('shop', 'web');
  web.limits = { maxRows: 190 };
  for (let index = 10; !web.refused.more; index++) process.add('web', index, index + 1);
  process.sync('web');
  await until(() => process.binding.state.phase === 'Exported');
  t.equal(process.binding.state.held, undefined);
  t.equal(await count(), 190);
  await process.binding.close();
});

for (const [web, how, left] of [[201, 'few', 291], [40, 'many', 300]] as const) {
  t.test(`how many rows are gone is judged when all targets are listed, and then ${how} are`, async (t) => {
    const { start, count, exported } = await stream('perItem');
    const status = await exported({ web: 200, jobs: 100 });
    const process = start({ ...status, dirty: true });
    process.rowsOf('jobs');
    process.add('web', 10, web);
    process.sync('web');
    await until(() => process.binding.state.held !== undefined);
    t.match(process.binding.state.held, { reason: 'unlisted' });
    t.match(sinkVerdict(process.binding), { reason: 'AwaitingSync' });
    t.equal(rowsThere(process.binding.state), 300);
    t.equal(await count(), Math.max(300, 100 + web), 'what came is told, and nothing went');
    process.add('jobs', 0, 100);
    process.sync('jobs');
    if (how === 'few') await until(() => process.binding.state.held === undefined);
    else await until(() => process.binding.state.held?.reason === 'guard');
    t.equal(await count(), left);
    await process.binding.close();
  });
}
