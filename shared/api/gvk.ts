/** A kind as it is written in objects; parts may be missing. */
export type LooseGvk = { readonly group?: string | undefined; readonly version?: string | undefined; readonly kind?: string | undefined };

/** Letter case does not count, and the core group has two spellings. */
export function isSameGvk(a: LooseGvk, b: LooseGvk): boolean {
  return gvkKey(a) === gvkKey(b);
}

/** One text for all spellings of a kind. */
export function gvkKey(gvk: LooseGvk): string {
  return `${groupOf(gvk)}/${gvk.version ?? ''}/${gvk.kind ?? ''}`.toLowerCase();
}

/** The kind of a key, in the spelling of the key. */
export function gvkOfKey(key: string): LooseGvk {
  const [group, version, kind] = key.split('/');
  return { group, version, kind };
}

/** `apps/v1 Deployment`, as people write it. */
export function gvkText(gvk: LooseGvk): string {
  const group = groupOf(gvk);
  return `${group === '' ? '' : `${group}/`}${gvk.version ?? ''} ${gvk.kind ?? ''}`;
}

/** True for the Secrets of Kubernetes, in any spelling and version: their data needs a consent of its own. */
export function isSecret(gvk: LooseGvk | undefined): boolean {
  return gvk?.kind?.toLowerCase() === 'secret' && groupOf(gvk) === '';
}

function groupOf({ group = '' }: LooseGvk): string {
  const lower = group.toLowerCase();
  return lower === 'core' ? '' : lower;
}
