import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { SinkGate } from '../../controller/sinks/runtime/sink-gate.ts';
import { KollectError } from '../../shared/errors.ts';
import { failure, signal } from './conformance.ts';

const down = (retryAfterMs?: number) => new KollectError('KOL_SINK_UNAVAILABLE', 'down', retryAfterMs === undefined ? {} : { retryAfterMs });
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Passes that run until they are told to end, and the order in which they were let in. */
function harness(concurrency: number) {
  const gate = new SinkGate(concurrency);
  const entered: string[] = [];
  const inside = new Map<string, PromiseWithResolvers<void>>();
  let most = 0;
  const told: string[] = [];
  /** Passes that find nothing to be done. */
  const untouched = new Set<string>();
  const enter = (inventory: string, mode: 'delta' | 'full' = 'delta', options: { name?: string; signal?: AbortSignal } = {}): Promise<void> => {
    const name = options.name ?? `${inventory} ${mode}`;
    const held = ({ message }: KollectError) => void told.push(`${name}: ${message}`);
    return gate.pass({ inventory, binding: `${inventory} pg`, mode, signal: options.signal ?? signal, held }, async () => {
      entered.push(name);
      const work = Promise.withResolvers<void>();
      inside.set(name, work);
      most = Math.max(most, inside.size);
      await work.promise.finally(() => inside.delete(name));
      return !untouched.has(name);
    });
  };
  const end = async (name: string, error?: Error): Promise<void> => {
    if (error) inside.get(name)?.reject(error);
    else inside.get(name)?.resolve();
    await turn();
  };
  const drain = async (): Promise<void> => {
    for (await turn(); inside.size > 0; ) await end([...inside.keys()][0]!);
  };
  return { gate, entered, told, untouched, inside, enter, end, drain, most: () => most };
}

t.test('no more than so many at a time, and a place is taken as soon as it is free', async (t) => {
  const { entered, inside, enter, end, drain, most } = harness(2);
  const all = ['a', 'b', 'c', 'd'].map((inventory) => enter(inventory));
  await turn();
  t.strictSame(entered, ['a delta', 'b delta']);
  await end('b delta');
  t.strictSame([...inside.keys()], ['a delta', 'c delta']);
  await drain();
  await Promise.all(all);
  t.equal(most(), 2);
  t.equal(entered.length, 4);
});

t.test('inventories take turns, whoever asks more often', async (t) => {
  const { entered, enter, drain } = harness(1);
  const all = [enter('busy', 'delta', { name: 'busy 1' })];
  await turn();
  for (const name of ['busy 2', 'busy 3', 'busy 4']) all.push(enter('busy', 'delta', { name }));
  for (const inventory of ['calm', 'quiet']) all.push(enter(inventory, 'delta', { name: inventory }));
  await drain();
  await Promise.all(all);
  t.strictSame(entered, ['busy 1', 'calm', 'quiet', 'busy 2', 'busy 3', 'busy 4']);
});

t.test('deltas go before full passes, which leave a place free where there are two', async (t) => {
  const { entered, inside, enter, end, drain } = harness(2);
  const all = [enter('a', 'full'), enter('b', 'full')];
  await turn();
  t.strictSame(entered, ['a full'], 'the second place is for deltas');
  all.push(enter('c', 'delta'));
  await turn();
  t.strictSame([...inside.keys()], ['a full', 'c delta']);
  all.push(enter('d', 'delta'));
  await end('a full');
  t.strictSame(entered, ['a full', 'c delta', 'd delta']);
  await end('c delta');
  t.strictSame(entered.at(-1), 'b full');
  await drain();
  await Promise.all(all);
});

t.test('deltas that never end do not keep a full pass out for ever', async (t) => {
  const { entered, enter, end, drain } = harness(1);
  const all = [enter('first')];
  await turn();
  all.push(enter('large', 'full'));
  for (let count = 0; !entered.includes('large full'); count++) {
    if (count > 100) throw new Error('a full pass never came');
    all.push(enter(`small ${count}`, 'delta', { name: `small ${count}` }));
    await end(entered.at(-1)!);
  }
  t.ok(entered.length > 10, `let in as number ${entered.length}: not before its turn either`);
  await drain();
  await Promise.all(all);
});

t.test('a destination that is not available holds all, lets one try, and all when that succeeds', async (t) => {
  const { gate, entered, told, untouched, inside, enter, end, drain } = harness(2);
  const first = enter('a', 'delta', { name: 'first' });
  const second = enter('b', 'delta', { name: 'second' });
  await turn();
  const failed = [failure(first), failure(second)];
  await end('first', down(3_600_000));
  const rest = ['c', 'd', 'e'].map((inventory) => enter(inventory));
  await end('second', down(7_200_000));
  await Promise.all(failed);
  t.strictSame(entered, ['first', 'second'], 'held');
  t.strictSame(told, ['c delta: down', 'd delta: down', 'e delta: down'], 'and told why, once');
  gate.forget('c pg');
  await turn();
  t.equal(inside.size, 0, 'who leaves ends the waiting of nobody else');
  const trial = failure(rest[0]!);
  gate.release('c pg');
  await turn();
  t.strictSame([...inside.keys()], ['c delta'], 'one tries, and the failure of a pass that had begun before counts once');
  await end('c delta', down(1));
  await trial;
  while (entered.length < 4) await pause(2);
  t.strictSame([...inside.keys()], ['d delta'], 'the next one when the time has come');
  untouched.add('d delta');
  await end('d delta');
  t.strictSame([...inside.keys()], ['e delta'], 'which found nothing to be done, and does not know');
  const next = ['f', 'g'].map((inventory) => enter(inventory));
  await turn();
  t.strictSame([...inside.keys()], ['e delta']);
  await end('e delta');
  t.strictSame([...inside.keys()], ['f delta', 'g delta'], 'as before');
  await drain();
  await Promise.all([...next, ...rest.slice(1)]);
});

t.test('who is let in to try says when the destination is back, and others do not wait for his end', async (t) => {
  const { gate, inside, enter, end, drain } = harness(2);
  const failed = failure(enter('a'));
  await turn();
  await end('a delta', down(3_600_000));
  await failed;
  const rest = Promise.withResolvers<void>();
  let back = (): void => undefined;
  const trial = gate.pass({ inventory: 'b', binding: 'b pg', mode: 'full', signal }, async (answered) => {
    back = answered;
    await rest.promise;
    return true;
  });
  gate.release('b pg');
  await turn();
  const delta = enter('c');
  await turn();
  t.equal(inside.size, 0);
  back();
  await turn();
  t.strictSame([...inside.keys()], ['c delta']);
  await drain();
  rest.resolve();
  await Promise.all([trial, delta]);
});

t.test('any other failure holds only the binding that met it, until its cause is mended', async (t) => {
  const { gate, entered, enter, end, drain } = harness(1);
  const failed = failure(enter('a', 'delta', { name: 'a 1' }));
  await turn();
  await end('a 1', new KollectError('KOL_SINK_OWNER', 'not ours'));
  await failed;
  const again = enter('a', 'delta', { name: 'a 2' });
  const other = enter('b', 'delta', { name: 'b 1' });
  await drain();
  await other;
  t.strictSame(entered, ['a 1', 'b 1']);
  gate.release('a pg');
  await drain();
  await again;
  t.strictSame(entered, ['a 1', 'b 1', 'a 2']);
});

t.test('a mended cause ends an outage too, and the wishes of the server are kept', async (t) => {
  const { gate, entered, enter, end, drain } = harness(1);
  const failed = failure(enter('a'));
  await turn();
  await end('a delta', down(3_600_000));
  await failed;
  const waiting = enter('b');
  await pause(20);
  t.strictSame(entered, ['a delta']);
  gate.release('b pg');
  await drain();
  await waiting;
  t.strictSame(entered, ['a delta', 'b delta']);
});

t.test('who is cancelled leaves the queue, and takes no place with him', async (t) => {
  const { entered, enter, end, drain } = harness(1);
  const first = enter('a');
  await turn();
  const abort = new AbortController();
  const gone = failure(enter('b', 'delta', { signal: abort.signal }));
  const last = enter('c');
  abort.abort();
  t.match(await gone, { message: 'the work was cancelled' });
  t.match(await failure(enter('d', 'delta', { signal: abort.signal })), { message: 'the work was cancelled' });
  const running = new AbortController();
  await end('a delta');
  await first;
  await drain();
  await last;
  t.strictSame(entered, ['a delta', 'c delta']);

  const cut = failure(enter('e', 'delta', { signal: running.signal }));
  await turn();
  running.abort();
  await end('e delta', down(3_600_000));
  await cut;
  const next = enter('f');
  await drain();
  await next;
  t.equal(entered.at(-1), 'f delta', 'and its failure holds nobody');
});
