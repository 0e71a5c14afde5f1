import { nearestName } from '../../nearest.ts';
import { warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Lookups } from '../lookups.ts';
import type { SinkFamily } from '../../api/sink-ref.ts';
import { sinkKinds } from '../lookups.ts';

/** More names than this are not compared: advice must not cost more than the judgement. */
const maxCandidates = 500;

/** Objects may be applied in any order, so a reference to nothing is fine, unless something exists whose name is almost the same. */
export function likelySink(lookups: Lookups, field: string, family: SinkFamily, namespace: string, name: string, report: Report): void {
  if (lookups.sink(family, namespace, name) !== undefined) return;
  likely(field, `${sinkKinds[family]} ${JSON.stringify(name)} in namespace ${JSON.stringify(namespace)}`, name, lookups.sinks(family, namespace), report);
}

export function likelyProfile(lookups: Lookups, field: string, namespace: string, name: string, report: Report): void {
  if (lookups.profile(namespace, name) !== undefined) return;
  likely(field, `KollectProfile ${JSON.stringify(name)} in namespace ${JSON.stringify(namespace)}`, name, lookups.profiles(namespace), report);
}

export function likelyClusterTarget(lookups: Lookups, field: string, name: string, report: Report): void {
  const targets = () => Iterator.from(lookups.targets()).filter(({ kind }) => kind === 'KollectClusterTarget');
  if (targets().some(({ metadata }) => metadata.name === name)) return;
  likely(field, `KollectClusterTarget ${JSON.stringify(name)}`, name, targets(), report);
}

function likely(field: string, what: string, name: string, candidates: Iterable<{ metadata: { name: string } }>, report: Report): void {
  const names = Iterator.from(candidates).map(({ metadata }) => metadata.name);
  const near = nearestName(name, names.take(maxCandidates));
  if (near !== undefined && near !== name) report(warning(field, `there is no ${what} yet; did you mean ${JSON.stringify(near)}?`));
}
