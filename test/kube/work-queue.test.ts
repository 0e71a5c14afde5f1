import t from 'tap';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import { createLogger } from '../../shared/log.ts';
import { eventually } from '../servers/eventually.ts';

const logger = createLogger({ level: 'error', format: 'text', name: 'test', write: () => undefined });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

t.test('one key is worked on by one at a time, and once for many reasons', async (t) => {
  let running = 0;
  let most = 0;
  let rounds = 0;
  const gate = Promise.withResolvers<void>();
  const queue = new WorkQueue<string>({
    name: 'test',
    logger,
    reconcile: async () => {
      rounds++;
      most = Math.max(most, ++running);
      await gate.promise;
      await pause(0);
      running--;
    },
  });
  for (let index = 0; index < 100; index++) queue.add('a');
  await eventually(() => running === 1, { intervalMs: 1 });
  for (let index = 0; index < 100; index++) queue.add('a');
  gate.resolve();
  await eventually(() => rounds >= 2 && running === 0);
  await pause(50);
  t.equal(most, 1);
  t.equal(rounds, 2, 'once for what came before, once for what came meanwhile');
  await queue.stop();
});

t.test('keys do not wait for each other', async (t) => {
  const started: string[] = [];
  const gate = Promise.withResolvers<void>();
  const queue = new WorkQueue<string>({
    name: 'test',
    logger,
    reconcile: async (key) => {
      started.push(key);
      if (key === 'slow') await gate.promise;
    },
  });
  queue.add('slow');
  queue.add('fast');
  await eventually(() => started.length === 2);
  t.strictSame(started, ['slow', 'fast']);
  gate.resolve();
  await queue.stop();
});

t.test('a failure is repeated, anywhere within a limit that doubles', async (t) => {
  const random = Math.random;
  t.teardown(() => (Math.random = random));
  Math.random = () => 0.2;
  const times: number[] = [];
  const done = Promise.withResolvers<void>();
  const queue = new WorkQueue<string>({
    name: 'test',
    logger,
    reconcile: async () => {
      times.push(performance.now());
      if (times.length < 3) throw new Error('not yet');
      done.resolve();
    },
  });
  queue.add('a');
  await done.promise;
  t.ok(times[1]! - times[0]! >= 98 && times[2]! - times[1]! >= 198, `waited ${times[1]! - times[0]!} and ${times[2]! - times[1]!} ms`);
  await queue.stop();
});

t.test('of two times the earlier one holds, and stop ends all', async (t) => {
  const rounds: string[] = [];
  const queue = new WorkQueue<string>({ name: 'test', logger, reconcile: async (key) => void rounds.push(key) });
  queue.addAfter('a', 10_000);
  queue.addAfter('a', 10);
  queue.addAfter('a', 10_000);
  await eventually(() => rounds.length > 0);
  await pause(50);
  t.strictSame(rounds, ['a']);
  queue.addAfter('b', 20);
  await queue.stop();
  queue.add('c');
  await pause(50);
  t.strictSame(rounds, ['a']);
});

t.test('what comes back by itself leaves room for what is asked now, of which the newest is first', async (t) => {
  const started: string[] = [];
  const gates = new Map<string, () => void>();
  const queue = new WorkQueue<string>({
    name: 'test',
    logger,
    concurrency: 2,
    repeats: 1,
    reconcile: async (key) => {
      started.push(key);
      await new Promise<void>((resolve) => gates.set(key, resolve));
    },
  });
  for (const key of ['failed-1', 'failed-2', 'failed-3']) queue.addAfter(key, 1);
  await eventually(() => started.length === 1);
  await pause(20);
  t.strictSame(started, ['failed-1'], 'one of two places');
  for (const key of ['new-1', 'new-2', 'new-3']) queue.add(key);
  await eventually(() => started.length === 2);
  for (const key of ['failed-1', 'new-1', 'new-3']) {
    gates.get(key)?.();
    await eventually(() => started.length > 2 + ['failed-1', 'new-1', 'new-3'].indexOf(key));
  }
  t.strictSame(started, ['failed-1', 'new-1', 'new-3', 'new-2', 'failed-2']);
  queue.add('failed-3');
  gates.get('new-2')?.();
  await eventually(() => started.length === 6);
  t.equal(started[5], 'failed-3', 'unless somebody asks for it');
  for (const resolve of gates.values()) resolve();
  await queue.stop();
});
