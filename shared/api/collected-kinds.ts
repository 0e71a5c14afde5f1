import type { GroupVersionKind } from '../kube/discovery.ts';
import { gvkKey, isSameGvk } from './gvk.ts';
import type { LooseGvk } from './gvk.ts';

/** One kind that a target collects, with the rules that name it: none where the target has none. */
export interface CollectedKind<Rule> {
  gvk: GroupVersionKind;
  rules: Rule[];
}

/**
 * The kinds that a target collects: those of its rules, or else that of its profile. Kinds that are spelled like that of the profile are taken to be it, and
 * so are rules that name no kind. Whoever collects and whoever asks for rights have to agree about this. Parts may be missing in what nobody checked: what
 * has no version or no kind is none.
 *
 * @example collectedKinds([podRule, jobRule, otherPodRule], deployments) // Pods with two rules, Jobs with one
 */
export function collectedKinds<Rule extends { readonly gvk?: LooseGvk | undefined }>(rules: readonly (Rule | undefined)[] | undefined, ofProfile: LooseGvk | undefined): CollectedKind<Rule>[] {
  const profiled = whole(ofProfile);
  if (!rules?.length) return profiled ? [{ gvk: profiled, rules: [] }] : [];
  const kinds = new Map<string, CollectedKind<Rule>>();
  for (const rule of rules) {
    const named = rule?.gvk === undefined ? profiled : whole(rule.gvk);
    if (rule === undefined || named === undefined) continue;
    const key = gvkKey(named);
    const known = kinds.get(key);
    if (known) known.rules.push(rule);
    else kinds.set(key, { gvk: profiled && isSameGvk(profiled, named) ? profiled : { ...named, group: named.group.toLowerCase() === 'core' ? '' : named.group }, rules: [rule] });
  }
  return [...kinds.values()];
}

function whole({ group = '', version, kind }: LooseGvk = {}): GroupVersionKind | undefined {
  return version === undefined || kind === undefined ? undefined : { group, version, kind };
}
