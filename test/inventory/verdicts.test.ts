import t from 'tap';
import type { BindingState } from '../../controller/inventory/binding-state.ts';
import type { HeldDeletions } from '../../controller/inventory/deletion-guard.ts';
import type { RemovalState } from '../../controller/inventory/inventory-status.ts';
import { inventoryVerdicts, sinkVerdict, targetSinkVerdict, type ExportFacts } from '../../controller/inventory/inventory-verdicts.ts';
import { pastTime } from '../../controller/inventory/past-time.ts';
import type { SinkObstacle } from '../../controller/inventory/sink-directory.ts';
import { conditions as documented, type ConditionSet } from '../../shared/api/conditions.ts';
import { KollectError, type ErrorCode } from '../../shared/errors.ts';

const fresh: BindingState = {
  phase: 'Waiting',
  generation: 1,
  error: undefined,
  fingerprint: undefined,
  destination: undefined,
  lastExportTime: undefined,
  lastChecksum: undefined,
  rows: undefined,
  rejected: [],
  held: undefined,
};
const exported: BindingState = { ...fresh, phase: 'Exported' };
const failing = (code: ErrorCode): BindingState => ({ ...fresh, phase: 'Failed', error: new KollectError(code, 'why') });
const refusing = (...codes: string[]): BindingState => ({
  ...exported,
  rejected: codes.map((code, index) => ({ key: { targetName: 'web', uid: `u${index}` }, namespace: 'shop', hash: '', code, message: 'refused' })),
});
const holding = (reason: HeldDeletions['reason']): BindingState => ({ ...exported, held: { reason, stale: 3, rows: 4 } });
const removal = (more: Partial<RemovalState>): RemovalState => ({ key: 'database/former', namespace: 'shop', fingerprint: undefined, isPaused: false, error: undefined, ...more });
const absent: SinkObstacle = { reason: 'SinkNotFound', message: 'no such sink' };

interface Case {
  states: BindingState[];
  facts?: Partial<ExportFacts>;
  wanted: string[];
  /** Where cluster inventories have others. */
  cluster?: string[];
}

/** `<type>=<status> <reason>` */
const all = (ready: string, degraded: 'True' | 'False', sinkReachable: string): string[] => {
  const [, reason] = ready.split(' ');
  return [`Ready=${ready}`, `Synced=${ready}`, `Degraded=${degraded} ${reason}`, `SinkReachable=${sinkReachable}`];
};
const failed = (reason: string, sinkReachable = reason): string[] => all(`False ${reason}`, 'True', `False ${sinkReachable}`);

const cases: Record<string, Case> = {
  'all sinks are up to date': { states: [exported, exported], wanted: all('True Exported', 'False', 'True ExportSucceeded') },
  'a scope denies one sink, and another fails for a while': { states: [failing('KOL_SINK_UNAVAILABLE'), failing('KOL_SCOPE_SINK')], wanted: failed('ScopeSinkDenied') },
  'no sink is referenced': {
    states: [],
    wanted: all('True NoExport', 'False', 'True NoSinksConfigured'),
    cluster: all('True RolledUp', 'False', 'True NoSinksConfigured'),
  },
  'nothing was exported yet': { states: [fresh], wanted: all('False AwaitingSync', 'False', 'True SinksReachable') },
  'a target is awaited': {
    states: [exported],
    facts: { awaiting: ['web'] },
    wanted: all('False AwaitingSync', 'False', 'True ExportSucceeded'),
  },
  'a target leaves out objects': {
    states: [exported],
    facts: { incomplete: ['web'] },
    wanted: all('False TargetDegraded', 'True', 'True ExportSucceeded'),
  },
  'a target is not ready, and the rows of the others are exported': {
    states: [exported],
    facts: { trouble: { reason: 'TargetDegraded', message: 'why' }, awaiting: ['db'] },
    wanted: all('False TargetDegraded', 'True', 'True ExportSucceeded'),
  },
  'a target is not ready, and deletions of others wait for somebody': {
    states: [holding('guard')],
    facts: { trouble: { reason: 'TargetDegraded', message: 'why' } },
    wanted: all('False DeletionHeld', 'True', 'True ExportSucceeded'),
  },
  'there are no targets yet': {
    states: [],
    facts: { trouble: { reason: 'AwaitingSync', message: 'why' } },
    wanted: all('False AwaitingSync', 'False', 'Unknown AwaitingSync'),
  },
  'there are no targets any more, and may be some soon': {
    states: [exported],
    facts: { trouble: { reason: 'AwaitingSync', message: 'why' } },
    wanted: all('False AwaitingSync', 'False', 'True ExportSucceeded'),
  },
  'rows of a dropped reference are kept': {
    states: [exported],
    facts: { removals: [removal({ isPaused: true })] },
    wanted: ['Ready=True Exported', 'Synced=False DeletionHeld', 'Degraded=False Exported', 'SinkReachable=True ExportSucceeded'],
  },
  'rows of the last reference, which was dropped, are kept': {
    states: [],
    facts: { removals: [removal({ isPaused: true })] },
    wanted: ['Ready=True NoExport', 'Synced=False DeletionHeld', 'Degraded=False NoExport', 'SinkReachable=True NoSinksConfigured'],
    cluster: ['Ready=True RolledUp', 'Synced=False DeletionHeld', 'Degraded=False RolledUp', 'SinkReachable=True NoSinksConfigured'],
  },
  'rows of a dropped reference cannot be removed': {
    states: [refusing('22P05')],
    facts: { removals: [removal({}), removal({ fingerprint: 'there', error: new KollectError('KOL_SINK_UNAVAILABLE', 'why') })] },
    wanted: ['Ready=True Exported', 'Synced=False PartialExport', 'Degraded=False Exported', 'SinkReachable=True ExportSucceeded'],
  },
  'a reference was dropped that nothing is known to be exported to, and that cannot be looked at': {
    states: [exported],
    facts: { removals: [removal({ error: new KollectError('KOL_SINK_UNAVAILABLE', 'why') })] },
    wanted: all('True Exported', 'False', 'True ExportSucceeded'),
  },
  'rows of a dropped reference are being removed': { states: [exported], facts: { removals: [removal({})] }, wanted: all('True Exported', 'False', 'True ExportSucceeded') },
  'it is suspended': {
    states: [],
    facts: { blocked: { reason: 'Suspended', message: 'why' } },
    wanted: all('False Suspended', 'True', 'Unknown Suspended'),
  },
  'one of two sinks fails': {
    states: [exported, failing('KOL_SINK_AUTH')],
    wanted: ['Ready=False ExportTerminal', 'Synced=False PartiallySynced', 'Degraded=True ExportTerminal', 'SinkReachable=False ExportTerminal'],
  },
  'what may pass by itself is not called a fault of the sink': { states: [failing('KOL_SINK_BUSY')], wanted: failed('Progressing', 'ExportFailed') },
  'what must be mended comes first': { states: [failing('KOL_SINK_BUSY'), failing('KOL_SINK_SECRET')], wanted: failed('SecretResolveFailed') },
  'a sink that nothing could be written to yet does not exist': {
    states: [fresh],
    facts: { obstacles: new Map([['shop/database/s0', absent]]), awaiting: ['web'] },
    wanted: failed('SinkNotFound'),
  },
  'a sink failed its test and nothing could be written to it yet': {
    states: [fresh],
    facts: { obstacles: new Map([['shop/database/s0', { reason: 'SinkUnreachable', message: 'why' }]]) },
    wanted: all('False AwaitingSync', 'False', 'False SinkUnreachable'),
  },
  'what was known before an export is not believed against it': {
    states: [exported],
    facts: { obstacles: new Map([['shop/database/s0', { reason: 'SinkUnreachable', message: 'why' }]]) },
    wanted: all('True Exported', 'False', 'True ExportSucceeded'),
  },
  'rows were refused': {
    states: [exported, refusing('22P05')],
    wanted: ['Ready=True Exported', 'Synced=False PartialExport', 'Degraded=False Exported', 'SinkReachable=True ExportSucceeded'],
  },
  'deletions that nothing explains are held': { states: [holding('guard')], wanted: all('False DeletionHeld', 'True', 'True ExportSucceeded') },
  'how many rows are gone is told when all targets are listed': { states: [holding('unlisted')], facts: { awaiting: ['web'] }, wanted: all('False AwaitingSync', 'False', 'True ExportSucceeded') },
  'deletions are paused': {
    states: [exported, holding('paused')],
    wanted: ['Ready=True Exported', 'Synced=False DeletionHeld', 'Degraded=False Exported', 'SinkReachable=True ExportSucceeded'],
  },
  'a row is too large': { states: [refusing('22P05', 'PayloadTooLarge')], wanted: all('False PayloadTooLarge', 'True', 'True ExportSucceeded') },
  ...Object.fromEntries(
    (
      [
        ['KOL_SINK_NOT_IMPLEMENTED', 'ExportUnavailable'],
        ['KOL_SINK_DISABLED', 'ExportUnavailable'],
        ['KOL_SINK_NOT_FOUND', 'SinkNotFound'],
        ['KOL_SINK_FORBIDDEN', 'SinkForbidden'],
        ['KOL_SINK_LOOKUP', 'SinkLookupFailed'],
        ['KOL_SINK_SECRET', 'SecretResolveFailed'],
        ['KOL_SINK_SECRET_KEY', 'SecretResolveFailed'],
        ['KOL_SINK_SECRET_UNREADABLE', 'SecretResolveFailed'],
        ['KOL_SINK_UNAVAILABLE', 'SinkUnreachable'],
        ['KOL_SINK_ADDRESS', 'ExportTerminal'],
        ['KOL_SINK_CONFIG', 'ExportTerminal'],
        ['KOL_SINK_OWNER', 'ExportTerminal'],
        ['KOL_SINK_SCHEMA', 'ExportTerminal'],
      ] as const
    ).map(([code, reason]) => [code, { states: [failing(code), failing('KOL_INTERNAL')], wanted: failed(reason) }]),
  ),
};

function judged({ states, facts = {} }: Case, isCluster: boolean): string[] {
  const bindings = states.map((state, index) => ({ key: `database/s${index}`, place: `shop/database/s${index}`, state }));
  const verdicts = inventoryVerdicts({ bindings, removals: [], obstacles: new Map(), trouble: undefined, awaiting: [], incomplete: [], blocked: undefined, isCluster, ...facts });
  const kind: ConditionSet = documented[isCluster ? 'KollectClusterInventory' : 'KollectInventory'];
  for (const { type, status, reason, message } of verdicts) {
    if (!kind[type as keyof ConditionSet]?.[status]?.includes(reason as never)) throw new Error(`${type}=${status} ${reason} is not documented`);
    if (message === '') throw new Error(`${type}=${status} ${reason} says nothing`);
  }
  return verdicts.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
}

for (const [title, one] of Object.entries(cases)) {
  t.test(title, async (t) => {
    t.strictSame(judged(one, false), one.wanted);
    t.strictSame(judged(one, true), one.cluster ?? one.wanted);
  });
}

t.test('messages name sinks, targets and ten of the rows', async (t) => {
  const message = (states: BindingState[], facts: Partial<ExportFacts> = {}, type = 'Synced'): string | undefined =>
    inventoryVerdicts({
      bindings: states.map((state, index) => ({ key: `database/s${index}`, place: `shop/database/s${index}`, state })),
      removals: [],
      obstacles: new Map(),
      trouble: undefined,
      awaiting: [],
      incomplete: [],
      blocked: undefined,
      isCluster: false,
      ...facts,
    }).find((verdict) => verdict.type === type)?.message;
  t.equal(message([exported, failing('KOL_SINK_AUTH'), failing('KOL_SINK_BUSY')]), '1/3 sinks exported; database/s1: why; database/s2: why');
  const refused = message([refusing(...Array.from({ length: 12 }, () => '22P05'))])!;
  t.match(refused, /^database\/s0: 12 row\(s\) were refused by the sink, and are tried again when they change: web\/u0 \(refused, 22P05\), .* …$/);
  t.equal(refused.match(/web\/u/g)?.length, 10);
  const trouble = { reason: 'TargetDegraded', message: 'targets are broken' } as const;
  t.match(message([holding('guard')], { trouble }), /allow-deletes: "true" to delete them; targets are broken$/);
  t.equal(message([failing('KOL_SINK_AUTH')], { trouble }, 'Ready'), 'database/s0: why; targets are broken');
  const removals = [removal({ isPaused: true }), removal({ fingerprint: 'there', error: new KollectError('KOL_SINK_UNAVAILABLE', 'why') })];
  t.match(message([holding('paused')], { removals }), /^database\/s0 holds .*; database\/former: not referenced any more, and rows are kept .*; database\/former: .* could not be removed, which is tried again: why$/);
  const untouched: BindingState = { ...exported, held: { reason: 'paused', stale: 1, rows: 4, isUntouched: true } };
  t.match(message([exported, untouched], {}, 'Ready'), /^1 of 2 sink\(s\) hold all rows; database\/s1 holds 1 row\(s\) of 4 that would be deleted \(no change is written meanwhile\), and are kept as long as .*pause-deletes/);
  const names = Array.from({ length: 12 }, (_, index) => `t${index}`);
  t.match(message([fresh], { awaiting: names }), /target\(s\) t0, t1, .*, t9 and 2 more; nothing of theirs is deleted meanwhile/);
});

t.test('the condition of a sink', async (t) => {
  const outline = (state: BindingState): string => {
    const { status, reason } = sinkVerdict({ key: 'database/pg', state });
    return `${status} ${reason}`;
  };
  t.strictSame([fresh, exported, failing('KOL_SINK_AUTH'), refusing('22P05'), holding('guard'), holding('unlisted')].map(outline), ['False AwaitingSync', 'True Exported', 'False ExportFailed', 'False PartialExport', 'False DeletionHeld', 'False AwaitingSync']);
});

t.test('a target shows what its sinks are in, and only that', async (t) => {
  const unreachable: SinkObstacle = { reason: 'SinkUnreachable', message: 'why' };
  const outline = (...sinks: [BindingState | undefined, SinkObstacle?][]): string => {
    const { status, reason } = targetSinkVerdict(sinks.map(([state, obstacle]) => ({ inventory: 'KollectInventory "audit"', key: 'database/pg', state, obstacle })));
    const allowed: ConditionSet = documented.KollectTarget;
    t.ok(allowed.SinkReachable?.[status]?.includes(reason as never), `${status} ${reason} is documented`);
    return `${status} ${reason}`;
  };
  t.equal(outline(), 'True NoSinksInNamespace');
  t.equal(outline([undefined], [fresh], [exported]), 'True SinksReachable');
  t.equal(outline([exported, unreachable]), 'True SinksReachable', 'an export is newer than a connection test');
  t.equal(outline([failing('KOL_SINK_BUSY'), unreachable]), 'True SinksReachable', 'who is busy is there');
  t.equal(outline([undefined, absent]), 'False SinkNotFound', 'no binding was made yet');
  t.equal(outline([exported], [fresh, unreachable]), 'False SinkUnreachable');
  t.equal(outline([failing('KOL_SINK_AUTH')], [failing('KOL_SINK_NOT_FOUND')]), 'False SinkNotFound');
  t.equal(outline([failing('KOL_SINK_AUTH')]), 'False SinkUnreachable', 'there is one reason for all that keeps us out');
});

t.test('a time in the future is now', async (t) => {
  const now = '2026-01-02T00:00:00.000Z';
  t.strictSame([undefined, '2026-01-01T23:59:59Z', '2026-01-02T00:00:00.001Z', '2099-01-01T00:00:00Z'].map((time) => pastTime(time, now)), [undefined, '2026-01-01T23:59:59Z', now, now]);
});
