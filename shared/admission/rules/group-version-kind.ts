import { invalid, required } from '../finding.ts';
import type { Report } from '../finding.ts';
import { isDnsSubdomain } from './names.ts';

interface LooseGroupVersionKind {
  readonly group?: string | undefined;
  readonly version?: string | undefined;
  readonly kind?: string | undefined;
}

/** A group, version and kind that a cluster can serve. */
export function groupVersionKind(field: string, gvk: LooseGroupVersionKind | undefined, report: Report): void {
  if (gvk === undefined) return;
  const { group, version, kind } = gvk;
  if (group !== undefined && group !== '' && !isDnsSubdomain(group)) report(invalid(`${field}.group`, group, 'must be an API group such as apps or cert-manager.io, or empty for the core group'));
  if (version === '') report(required(`${field}.version`, 'write the version of the API, such as v1'));
  else if (version?.includes('/')) report(invalid(`${field}.version`, version, `write only the version; the group goes into the field "group"`));
  else if (version !== undefined && !/^[a-z][a-z0-9]{0,62}$/.test(version)) report(invalid(`${field}.version`, version, 'must be the version of an API, such as v1 or v1beta1'));
  if (kind === '') report(required(`${field}.kind`, 'write the kind, such as Deployment'));
  else if (kind !== undefined && !/^[A-Za-z][A-Za-z0-9]{0,62}$/.test(kind)) report(invalid(`${field}.kind`, kind, 'must be a kind, such as Deployment'));
}

/** True for `v1` Secrets, whose content needs a second consent. */
export function isSecret(gvk: LooseGroupVersionKind | undefined): boolean {
  return gvk?.kind === 'Secret' && (gvk.group === undefined || gvk.group === '' || gvk.group === 'core');
}
