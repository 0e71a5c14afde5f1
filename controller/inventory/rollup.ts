import { inTurns, type SharedTurns } from '../../shared/in-turns.ts';
import type { Row } from '../collect/row.ts';
import type { TargetRows } from '../collect/target-rows.ts';
import { EarlierRows } from './earlier-rows.ts';
import { NamespaceShards, type NamespaceShard } from './namespace-shards.ts';
import { SelectedRows } from './selected-rows.ts';
import type { InventoryView, ViewTarget } from './view.ts';

/** Which rows of its targets a rollup has. */
export interface RollupSelection {
  /** Whether rows of a namespace belong to it; `''` is that of objects without one. What it says may change with the labels of the namespace. */
  includes(namespace: string): boolean;
  /** Each object has one row: that of the last of its targets by name. */
  dedupe: boolean;
}

export interface RollupOptions {
  view: InventoryView;
  selection: RollupSelection;
  /** Whether the rows of a target can be exported. */
  isListed: (target: ViewTarget) => boolean;
  /** Whether that is only a matter of time. */
  isAwaited: (target: ViewTarget) => boolean;
  /** How long targets wait for each other at first, in milliseconds. */
  patienceMs: number;
  /** Goes through work of many steps; `inTurns` when unset. */
  pace?: typeof inTurns | undefined;
  /** What one event sets going in many rollups shall not take a turn in each of them. Those of this one alone when unset. */
  turns?: SharedTurns | undefined;
  /** A fault of ours broke off what was under way: everything is made anew after a while. */
  onFault?: ((error: unknown) => void) | undefined;
  /** How long that while is, in milliseconds; 5 s when unset. */
  anewMs?: number | undefined;
}

/** What breaks off each time shall leave time for everything else. */
const defaultAnewMs = 5_000;

/**
 * Feeds a view with a part of the rows of its targets: those of some namespaces, and, where one row stands for each object, without those that stand
 * behind. What comes and goes by a label of a namespace, or because the row in front left, is a change of the view like any other.
 *
 * Where objects have one row, a target takes part when its first list is complete, and not before: else the row of another one would leave
 * for a row that is not exported yet. At first they begin together, for a destination may hold the rows that one of them is about to have.
 *
 * What moves many rows does so in turns with everybody else, one thing after the other; the view says that it is turning meanwhile. Until a thing is done it sees the
 * rows as they were when it began. What happened to them since follows, and then the next thing.
 */
export class Rollup {
  readonly #options: RollupOptions;
  #selection: RollupSelection;
  /** What it is to be when all work is done. */
  readonly #wanted: { targets: Set<TargetRows>; selection: RollupSelection };
  readonly #members = new Map<TargetRows, SelectedRows>();
  /** Those that take part, by name: of several with a row of an object the last one stands for it. */
  #ranked: SelectedRows[] = [];
  /** Monotonic milliseconds from which on nobody waits for another. */
  #patientUntil: number;
  #end: NodeJS.Timeout | undefined;
  #anew: NodeJS.Timeout | undefined;
  /** What was said of each namespace that has rows. */
  readonly #included = new Map<string, boolean>();
  readonly #shards = new NamespaceShards(() => this.#ranked);
  /** What is to be done; the first of it is under way. */
  readonly #work: (() => Iterable<void>)[] = [];
  readonly #earlier = new EarlierRows();
  #closed = false;

  constructor(options: RollupOptions) {
    this.#options = options;
    this.#selection = options.selection;
    this.#wanted = { targets: new Set(), selection: options.selection };
    this.#patientUntil = performance.now() + options.patienceMs;
  }

  /** Namespaces with rows. */
  get shardCount(): number {
    return this.#shards.count;
  }

  /** The first namespaces by name. */
  shards(limit: number): NamespaceShard[] {
    return this.#shards.first(limit);
  }

  /** Whether the view has the rows of a target. */
  takesPart(target: ViewTarget): boolean {
    return this.#ranked.some((member) => member === target);
  }

  addTarget(target: TargetRows): void {
    this.#wanted.targets.add(target);
    this.#do(() => this.#add([target]));
  }

  removeTarget(target: TargetRows): void {
    this.#wanted.targets.delete(target);
    this.#do(() => this.#remove(target));
  }

  rowChanged(target: TargetRows, before: Row | undefined, after: Row | undefined): void {
    if (this.#work.length === 0) this.#follow(target, before, after);
    else if (this.#members.has(target)) this.#earlier.note(target, before, after);
  }

  /** An object of a target that has no row is gone. */
  rowLeft(target: TargetRows, uid: string): void {
    const member = this.#members.get(target);
    if (member) this.#options.view.rowLeft(member, uid);
  }

  /** Some targets may have completed their list. */
  targetsListed(): void {
    this.#do(() => this.#rankReady(this.#members.values().toArray()));
  }

  /** The namespace appeared, went, or has other labels. */
  namespaceChanged(namespace: string): void {
    this.#do(() => this.#turn(namespace));
  }

  /** The spec was edited. */
  select(selection: RollupSelection): void {
    this.#wanted.selection = selection;
    this.#do(() => this.#reselect(selection));
  }

  /** Nobody waits for anything any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#end);
    clearTimeout(this.#anew);
  }

  /** Does what takes a few milliseconds at once, unless others have taken them. */
  #do(work: () => Iterable<void>): void {
    this.#work.push(work);
    if (this.#work.length > 1) return;
    const { view, pace = inTurns, turns, onFault, anewMs = defaultAnewMs } = this.#options;
    pace(this.#steps(), () => undefined, () => this.#closed, turns).catch((error: unknown) => {
      onFault?.(error);
      if (!this.#closed) this.#anew = setTimeout(() => this.#startAnew(), anewMs);
    });
    if (this.#work.length > 0) view.turn();
  }

  /** What was under way broke off somewhere: nothing of it is used. */
  #startAnew(): void {
    this.#work.length = 0;
    this.#earlier.clear();
    this.#selection = this.#wanted.selection;
    this.#do(() => this.#rebuild([...this.#wanted.targets]));
  }

  *#steps(): Generator<void> {
    for (let work = this.#work[0]; work; work = this.#work[0]) {
      yield* work();
      yield* this.#catchUp();
      this.#work.shift();
    }
    if (this.#options.view.isTurning) this.#options.view.turned();
  }

  /** What happened to rows in the meantime. */
  *#catchUp(): Generator<void> {
    for (const { target, before, after } of this.#earlier.catchUp()) yield this.#follow(target, before, after);
  }

  *#add(targets: readonly TargetRows[]): Generator<void> {
    const members = targets.map((target) => new SelectedRows(target, (namespace) => this.#includes(namespace)));
    for (const member of members) {
      this.#members.set(member.target, member);
      this.#options.view.addTarget(member);
    }
    yield* this.#rankReady(members);
    if (members.some((member) => !this.#ranked.includes(member))) this.#planEnd();
  }

  *#remove(target: TargetRows): Generator<void> {
    const member = this.#members.get(target);
    if (!member) return;
    // Who stands for an object of it is found by the rows that the others saw last.
    yield* this.#catchUp();
    this.#members.delete(target);
    this.#ranked = this.#ranked.filter((other) => other !== member);
    for (const namespace of member.shards.keys()) this.#shards.changed(namespace, true);
    this.#options.view.removeTarget(member);
    if (!this.#selection.dedupe || this.#ranked.length === 0) return;
    for (const rows of member.pieces()) for (const row of rows) yield this.#standIn(this.#rival(member, row));
  }

  *#turn(namespace: string): Generator<void> {
    yield* this.#catchUp();
    const before = this.#included.get(namespace);
    if (before === undefined) return;
    const after = this.#selection.includes(namespace);
    this.#included.set(namespace, after);
    if (after && before) return;
    const members = this.#members.values().map((member) => ({ member, pieces: member.target.pieces(namespace) })).toArray();
    if (!after && members.every(({ pieces }) => pieces.every(({ length }) => length === 0))) this.#included.delete(namespace);
    if (after === before) return;
    for (const { member, pieces } of members) {
      if (!this.#ranked.includes(member)) continue;
      for (const rows of pieces) for (const row of rows) yield this.#enterOrLeave(member, row, after);
      // Objects that are left out may have older rows wherever rows were sent.
      if (!after) for (const uid of member.target.refusedUids((other) => other === namespace)) this.#options.view.rowLeft(member, uid);
    }
  }

  *#reselect(selection: RollupSelection): Generator<void> {
    const isRanking = selection.dedupe !== this.#selection.dedupe;
    this.#selection = selection;
    if (!isRanking) {
      for (const namespace of this.#included.keys().toArray()) yield* this.#turn(namespace);
      return;
    }
    yield* this.#rebuild([...this.#members.keys()]);
  }

  *#rebuild(targets: readonly TargetRows[]): Generator<void> {
    const members = this.#members.values().toArray();
    this.#members.clear();
    this.#ranked = [];
    this.#included.clear();
    for (const member of members) {
      for (const namespace of member.shards.keys()) this.#shards.changed(namespace, true);
      this.#options.view.removeTarget(member);
    }
    yield* this.#add(targets);
  }

  #follow(target: TargetRows, before: Row | undefined, after: Row | undefined): void {
    const member = this.#members.get(target);
    const row = (after ?? before)!;
    if (!member || !this.#ranked.includes(member) || !this.#includes(row.namespace)) return;
    if (!this.#selection.dedupe) return this.#change(member, before, after);
    const rival = this.#rival(member, row);
    if (rival && rival.member.name > member.name) {
      if (before) member.behind.delete(before);
      if (after) member.behind.add(after);
      return;
    }
    if (!before) this.#stepBack(rival);
    this.#change(member, before, after);
    if (!after) this.#standIn(rival);
  }

  /** Who waits for others is looked at once more when nobody waits any longer. */
  #planEnd(): void {
    const remainingMs = this.#patientUntil - performance.now();
    if (this.#end || remainingMs <= 0) return;
    this.#end = setTimeout(() => {
      this.#end = undefined;
      this.targetsListed();
      this.#planEnd();
    }, remainingMs);
    this.#end.unref();
  }

  #isReady(member: SelectedRows): boolean {
    if (!this.#selection.dedupe) return true;
    const { isListed, isAwaited } = this.#options;
    if (!isListed(member)) return false;
    if (performance.now() < this.#patientUntil && this.#members.values().some(isAwaited)) return false;
    this.#patientUntil = 0;
    return true;
  }

  *#rankReady(members: readonly SelectedRows[]): Generator<void> {
    for (const member of members) if (!this.#ranked.includes(member) && this.#isReady(member)) yield* this.#rank(member);
  }

  *#rank(member: SelectedRows): Generator<void> {
    yield* this.#catchUp();
    this.#ranked = [...this.#ranked, member].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const rows of member.target.pieces()) for (const row of rows) yield this.#join(member, row);
  }

  #join(member: SelectedRows, row: Row): void {
    if (!this.#includes(row.namespace)) return;
    const rival = !this.#selection.dedupe || this.#ranked.length === 1 ? undefined : this.#rival(member, row);
    if (rival && rival.member.name > member.name) {
      member.behind.add(row);
      return;
    }
    this.#stepBack(rival);
    // Nobody reads it yet: it is read as a whole.
    this.#account(member, undefined, row);
  }

  #enterOrLeave(member: SelectedRows, row: Row, enters: boolean): void {
    if (!enters) {
      if (!member.behind.delete(row)) this.#change(member, row, undefined);
      return;
    }
    const rival = this.#selection.dedupe ? this.#rival(member, row) : undefined;
    if (rival && rival.member.name > member.name) member.behind.add(row);
    else this.#change(member, undefined, row);
  }

  /** The row of another target takes the place of this one. */
  #stepBack(standing: Standing | undefined): void {
    if (!standing) return;
    standing.member.behind.add(standing.row);
    this.#change(standing.member, standing.row, undefined);
  }

  /** The row in front of this one left. */
  #standIn(standing: Standing | undefined): void {
    if (!standing) return;
    standing.member.behind.delete(standing.row);
    this.#change(standing.member, undefined, standing.row);
  }

  /** Of all others, the row that stands for an object. */
  #rival(member: SelectedRows, { namespace, uid }: Row): Standing | undefined {
    for (let index = this.#ranked.length - 1; index >= 0; index--) {
      const other = this.#ranked[index]!;
      const row = other === member ? undefined : this.#earlier.get(other.target, namespace, uid);
      if (row) return { member: other, row };
    }
    return undefined;
  }

  #change(member: SelectedRows, before: Row | undefined, after: Row | undefined): void {
    this.#account(member, before, after);
    this.#options.view.rowChanged(member, before, after);
  }

  #account(member: SelectedRows, before: Row | undefined, after: Row | undefined): void {
    this.#shards.changed((after ?? before)!.namespace, member.account(before, after));
  }

  #includes(namespace: string): boolean {
    let included = this.#included.get(namespace);
    if (included === undefined) this.#included.set(namespace, (included = this.#selection.includes(namespace)));
    return included;
  }
}

/** A row that a target has of an object. */
interface Standing {
  member: SelectedRows;
  row: Row;
}
