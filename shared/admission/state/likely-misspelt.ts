import { nearestName } from '../../nearest.ts';
import { warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Lookups } from '../lookups.ts';
import type { SinkFamily } from '../../api/sink-ref.ts';
import { sinkKinds } from '../lookups.ts';

/** More names than this are not compared with one: advice must not cost more than the judgement. */
const maxCandidates = 500;
/** The same for all names of an object. */
const maxComparisons = 2_000;

/**
 * Warns of references of one object to nothing. Objects may be applied in any order, so that is fine, unless something exists whose name is almost
 * the same.
 *
 * @example new Spelling(lookups, report).profile('spec.profileRef', 'team-a', 'deploymnets')
 */
export class Spelling {
  readonly #lookups: Lookups;
  readonly #report: Report;
  #left = maxComparisons;

  constructor(lookups: Lookups, report: Report) {
    this.#lookups = lookups;
    this.#report = report;
  }

  sink(field: string, family: SinkFamily, namespace: string, name: string): void {
    if (this.#lookups.sink(family, namespace, name) !== undefined) return;
    this.#compare(field, `${sinkKinds[family]} ${JSON.stringify(name)} in namespace ${JSON.stringify(namespace)}`, name, this.#lookups.sinks(family, namespace));
  }

  profile(field: string, namespace: string, name: string): void {
    if (this.#lookups.profile(namespace, name) !== undefined) return;
    this.#compare(field, `KollectProfile ${JSON.stringify(name)} in namespace ${JSON.stringify(namespace)}`, name, this.#lookups.profiles(namespace));
  }

  clusterTarget(field: string, name: string): void {
    if (this.#lookups.clusterTarget(name) !== undefined) return;
    this.#compare(field, `KollectClusterTarget ${JSON.stringify(name)}`, name, this.#lookups.clusterTargets());
  }

  #compare(field: string, what: string, name: string, candidates: Iterable<{ metadata: { name: string } }>): void {
    const names = Iterator.from(candidates).take(Math.min(this.#left, maxCandidates)).map((candidate) => {
      this.#left--;
      return candidate.metadata.name;
    });
    const near = nearestName(name, names);
    if (near !== undefined && near !== name) this.#report(warning(field, `there is no ${what} yet; did you mean ${JSON.stringify(near)}?`));
  }
}
