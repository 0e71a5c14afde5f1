import { openSink } from '../../controller/sinks/runtime/open-sink.ts';
import { canary } from './conformance.ts';
import { conforms } from './conforms.ts';
import { memoryBackend, MemoryPlace, type MemoryFault } from './memory.ts';

conforms({
  name: 'memory',
  supports: { changes: true, rowRefusal: true, counts: true, digests: true, owners: true, rowQuestions: true, nul: true },
  maxRowBytes: 64 * 1024,
  destination: async () => {
    const place = new MemoryPlace();
    const lose = (kind: MemoryFault) => (later: number) => {
      place.script = later === Infinity ? [] : [...Array<undefined>(later).fill(undefined), kind];
    };
    return {
      open: async (options) => {
        const readSecret = async () => ({ data: { token: Buffer.from(canary).toString('base64') } });
        const sink = { kind: 'KollectDatabaseSink', metadata: { name: 'memory', namespace: 'team-a' }, spec: { type: 'memory', secretRef: { name: 'token' } } };
        return (await openSink({ sink, readSecret, policy: { allowPrivate: true, allowLoopback: true }, load: async () => memoryBackend(place), ...options })).sink;
      },
      contents: async () =>
        [...place.rows.values()]
          .map(({ identity, row, written }) => ({
            inventory: `${identity.namespace}/${identity.name}`,
            cluster: identity.cluster,
            target: row.targetName,
            uid: row.uid,
            payload: row.payload,
            written: String(written),
          }))
          .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      refuse: async (text) => {
        place.poison = text;
      },
      touched: async () => place.rows.size > 0 || place.states.size > 0,
      loseConfirmation: lose('cut'),
      loseAnswer: () => lose('silence')(0),
      holdNextWrite: async () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        place.gate = promise;
        return {
          waiting: async () => {
            while (place.waiting === 0) await new Promise((next) => setTimeout(next, 1));
          },
          release: async () => {
            place.gate = undefined;
            resolve();
          },
        };
      },
    };
  },
});
