import type { AttributeSource, CompiledProfile } from '../../shared/extract/compile-profile.ts';
import { inTurns } from '../../shared/in-turns.ts';
import { parseAttributeType } from '../../shared/extract/coerce.ts';
import type { Json, JsonObject } from '../../shared/extract/json.ts';

/** Label sets of one series: further ones would make the number of time series follow the number of objects. */
export const maxLabelSets = 200;
/** Characters of a label value. */
const maxLabelLength = 128;

export interface RowSeries {
  /** Name of the metric, or of the attribute. */
  series: string;
  value: number;
}

export interface LabeledRowSeries extends RowSeries {
  labels: Readonly<Record<string, string>>;
}

/** What the metrics of a profile say of rows. */
export interface RowSample {
  plain: readonly RowSeries[];
  labeled: readonly LabeledRowSeries[];
  /** Series with more label sets than are kept: the first of them in order. */
  capped: readonly string[];
}

/**
 * Sums what a profile asks for over rows, a few milliseconds at a time. Numbers and texts that are numbers count. Without `metrics` there is one series for
 * each attribute with numbers. Rows that change meanwhile may be counted as they were or as they are.
 *
 * @example (await sampleRows(rows.rows(), profile)).plain // [{ series: 'replicas', value: 12 }]
 */
export async function sampleRows(rows: Iterable<{ readonly payload: string }>, { attributes, metrics }: Pick<CompiledProfile, 'attributes' | 'metrics'>): Promise<RowSample> {
  const collectors = metrics.length === 0 ? attributes.map(sumOfAttribute) : metrics.map(({ name, path, labels = [] }) => (labels.length === 0 ? sum(name, path, true) : sumByLabels(name, path, labels)));
  await inTurns(rows, ({ payload }) => {
    const { attributes: values } = JSON.parse(payload) as { attributes: JsonObject };
    for (const collector of collectors) collector.add(values);
  });
  const sample: { plain: RowSeries[]; labeled: LabeledRowSeries[]; capped: string[] } = { plain: [], labeled: [], capped: [] };
  for (const collector of collectors) collector.finish(sample);
  return sample;
}

interface SeriesCollector {
  add(values: JsonObject): void;
  finish(sample: { plain: RowSeries[]; labeled: LabeledRowSeries[]; capped: string[] }): void;
}

function sumOfAttribute({ name, type }: AttributeSource): SeriesCollector {
  const declared = parseAttributeType(type ?? '');
  return sum(name, name, declared === 'int' || declared === 'float');
}

/** `always` is false where nothing but a number shows that there are numbers. */
function sum(series: string, attribute: string, always: boolean): SeriesCollector {
  let total = 0;
  let found = always;
  return {
    add: (values) => {
      const number = numberOf(values[attribute]);
      if (number === undefined) return;
      total += number;
      found = true;
    },
    finish: ({ plain }) => {
      if (found) plain.push({ series, value: total });
    },
  };
}

function sumByLabels(series: string, attribute: string, labels: readonly string[]): SeriesCollector {
  const names = labels.toSorted();
  const sums = new FirstSums(maxLabelSets);
  return {
    add: (values) => {
      const number = numberOf(values[attribute]);
      // JSON.stringify makes a text of its own: a piece of a value would keep the whole of it.
      if (number !== undefined) sums.add(JSON.stringify(names.map((name) => labelText(values[name]))), number);
    },
    finish: ({ labeled, capped }) => {
      for (const [key, value] of sums.sorted()) {
        const texts = JSON.parse(key) as string[];
        labeled.push({ series, value, labels: Object.fromEntries(names.map((name, index) => [name, texts[index] ?? ''])) });
      }
      if (sums.dropped) capped.push(series);
    },
  };
}

/**
 * Sums by key, of the first keys in order only, in memory for twice as many. A key that is dropped once would be dropped at the end as
 * well, because enough smaller ones are known: the sums that stay are complete.
 */
class FirstSums {
  readonly #limit: number;
  readonly #sums = new Map<string, number>();
  #last: string | undefined;
  dropped = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(key: string, value: number): void {
    const known = this.#sums.get(key);
    if (known === undefined && this.#last !== undefined && key > this.#last) return;
    this.#sums.set(key, (known ?? 0) + value);
    if (this.#sums.size > 2 * this.#limit) this.#drop();
  }

  sorted(): [string, number][] {
    this.#drop();
    return [...this.#sums].sort(([left], [right]) => (left < right ? -1 : 1));
  }

  #drop(): void {
    if (this.#sums.size <= this.#limit) return;
    const keys = [...this.#sums.keys()].sort();
    this.#last = keys[this.#limit - 1];
    for (const key of keys.slice(this.#limit)) this.#sums.delete(key);
    this.dropped = true;
  }
}

function numberOf(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || !/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?\s*$/i.test(value)) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

function labelText(value: Json | undefined): string {
  const text = value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.slice(0, maxLabelLength);
}
