import type { IncomingHttpHeaders } from 'node:http';
import { Deck, type Random } from './random.ts';
import { isWatch, type Disturber, type Fault } from './watch-proxy.ts';

const errorLine = (code: number, reason: string, message: string): string => JSON.stringify({ type: 'ERROR', object: { kind: 'Status', status: 'Failure', code, reason, message } });
const tooLarge = 'Too large resource version: 99999999, current: 7';
const busy: Fault = { kind: 'status', code: 429, headers: { 'retry-after': '1' } };
const status = (code: number): Fault => ({ kind: 'status', code });

type Made<T> = (moment: { after: number; withinMs: number }) => T;

type NamedFault = readonly [name: string, make: Made<Fault>];

/** What a watch goes through and needs a list for, or shows as a failure. */
const endings: readonly NamedFault[] = [
  ['410 when a watch is opened', () => status(410)],
  ['403 when a watch is opened', () => status(403)],
  ['404 when a watch is opened', () => status(404)],
  ['410 in the stream', (moment) => ({ kind: 'line', line: errorLine(410, 'Expired', 'too old resource version'), ...moment })],
  ['a version from the future in the stream', (moment) => ({ kind: 'line', line: errorLine(504, 'Timeout', tooLarge), ...moment })],
  ['events that change places', ({ after, withinMs }) => ({ kind: 'swap', after, endsAfterMs: withinMs })],
];
/** What it goes through and resumes after. */
const interruptions: readonly NamedFault[] = [
  ['500 when a watch is opened', () => status(500)],
  ['429 when a watch is opened', () => busy],
  ['a watch closed at once', () => ({ kind: 'close' })],
  ['ERROR 500 in the stream', (moment) => ({ kind: 'line', line: errorLine(500, 'InternalError', 'etcd hiccup'), ...moment })],
  ['a line that is no event', (moment) => ({ kind: 'line', line: '{"type":"MODIFIED","obj', ...moment })],
  ['a line that is cut', (moment) => ({ kind: 'truncate', ...moment })],
  ['a line that is cut within a character', (moment) => ({ kind: 'truncate', inCharacter: true, ...moment })],
  ['a connection that is reset', (moment) => ({ kind: 'reset', ...moment })],
  ['a half-open connection', (moment) => ({ kind: 'silence', ...moment })],
  ['a watch that drips', ({ withinMs }) => ({ kind: 'drip', endsAfterMs: withinMs })],
  ['events that come twice', ({ withinMs }) => ({ kind: 'duplicate', endsAfterMs: withinMs })],
  ['events that come again later', ({ after, withinMs }) => ({ kind: 'replay', after, endsAfterMs: withinMs })],
];
const watchFaults = [...endings, ...interruptions];

interface ListPlan {
  name: string;
  /** The page that it meets, 1 being the first. */
  page: number;
  /** Pages that are still to be broken; more than one breaks the attempts that follow, too. */
  times: number;
  fault: Fault;
}

/** By name, what a list goes through. A list of fewer pages has luck. */
const listFaults: readonly Omit<ListPlan, 'times'>[] = [
  { name: 'page 3 of a list failing with 500', page: 3, fault: status(500) },
  { name: 'page 3 of a list failing with 410', page: 3, fault: status(410) },
  { name: 'page 3 of a list failing with 429', page: 3, fault: busy },
  { name: 'a list refused with 403', page: 1, fault: status(403) },
  { name: 'a list refused with 404', page: 1, fault: status(404) },
  { name: 'a list failing with 503', page: 1, fault: status(503) },
  { name: 'a version from the future for a list', page: 1, fault: { kind: 'status', code: 504, body: { kind: 'Status', status: 'Failure', code: 504, reason: 'Timeout', message: tooLarge } } },
  { name: 'a list that is cut', page: 2, fault: { kind: 'truncate', after: 0 } },
  { name: 'an empty answer to a list', page: 1, fault: { kind: 'close' } },
  { name: 'a list that drips', page: 2, fault: { kind: 'drip' } },
  { name: 'a list that is reset', page: 2, fault: { kind: 'reset', after: 0 } },
  { name: 'a list that falls silent', page: 1, fault: { kind: 'silence', after: 0 } },
];
const lostTwice: ListPlan = { name: 'the place in a list lost twice', page: 2, times: 2, fault: status(410) };
/** Of a list that was lost twice and comes as a stream. */
const streamFaults: readonly (readonly [string, Fault])[] = [
  ['a streamed list that is refused', status(422)],
  ['a streamed list that is cut', { kind: 'truncate', after: 1 }],
];

/** Breaks most lists and watches, each in a way that a deck deals. */
export class Chaos implements Disturber {
  /** How often what struck. */
  readonly struckBy = new Map<string, number>();
  /** Requests with a token that is on this list are refused. */
  readonly revokedTokens = new Set<string>();
  refusedTokens = 0;
  readonly #random: Random;
  #watches: Deck<NamedFault>;
  readonly #lists: Deck<Omit<ListPlan, 'times'>>;
  readonly #streams: Deck<(typeof streamFaults)[number]>;
  readonly #names = new WeakMap<Fault, string>();
  /** By path: how far the list under way is, and what it will meet. */
  readonly #plans = new Map<string, { page: number; plan: ListPlan | undefined }>();
  #breaks: 'all' | 'watches' | 'nothing' = 'all';

  constructor(random: Random) {
    this.#random = random;
    this.#watches = new Deck(watchFaults, random);
    this.#lists = new Deck([...listFaults, lostTwice, lostTwice, lostTwice], random);
    this.#streams = new Deck(streamFaults, random);
  }

  static get names(): string[] {
    return [...watchFaults.map(([name]) => name), ...listFaults.map(({ name }) => name), lostTwice.name, ...streamFaults.map(([name]) => name)];
  }

  get count(): number {
    return this.struckBy.values().reduce((sum, count) => sum + count, 0);
  }

  /** Lists are left alone, and watches are interrupted in ways that they resume after: no list repairs what a watch lost. */
  interrupt(): void {
    this.#breaks = 'watches';
    this.#watches = new Deck(interruptions, this.#random);
  }

  /** Nothing is broken any more. What fell silent before stays silent. */
  end(): void {
    this.#breaks = 'nothing';
  }

  choose(url: URL, headers: IncomingHttpHeaders): Fault | undefined {
    if (this.revokedTokens.has(headers.authorization?.replace(/^Bearer /, '') ?? '')) {
      this.refusedTokens++;
      return status(401);
    }
    if (this.#breaks === 'nothing') return undefined;
    const { pathname, searchParams } = url;
    if (searchParams.has('sendInitialEvents') && this.#breaks === 'all') return this.#named(...this.#streams.draw());
    if (isWatch(url)) {
      const [name, make] = this.#watches.draw();
      return this.#named(name, make({ after: 1 + this.#random.below(12), withinMs: 300 + this.#random.below(2_500) }));
    }
    return searchParams.has('limit') && this.#breaks === 'all' ? this.#onPage(pathname, searchParams.has('continue')) : undefined;
  }

  struck(fault: Fault): void {
    const name = this.#names.get(fault);
    if (name !== undefined) this.struckBy.set(name, (this.struckBy.get(name) ?? 0) + 1);
  }

  #onPage(path: string, goesOn: boolean): Fault | undefined {
    let known = this.#plans.get(path);
    if (!known || !goesOn) {
      const isLosing = known?.plan !== undefined && known.plan.times > 0 && known.plan.times < lostTwice.times;
      known = { page: 0, plan: isLosing ? known!.plan : this.#plan() };
      this.#plans.set(path, known);
    }
    known.page++;
    const { plan, page } = known;
    if (!plan || plan.times === 0 || plan.page !== page) return undefined;
    plan.times--;
    return this.#named(plan.name, plan.fault);
  }

  #plan(): ListPlan | undefined {
    if (this.#random.next() > 0.7) return undefined;
    return { times: 1, ...this.#lists.draw() };
  }

  #named(name: string, fault: Fault): Fault {
    const own = { ...fault };
    this.#names.set(own, name);
    return own;
  }
}
