import type { LabelSelector } from '../../shared/api/meta.ts';
import { compileCel } from '../../shared/extract/cel.ts';
import type { CompiledProfile } from '../../shared/extract/compile-profile.ts';
import { readsMetadataOnly } from '../../shared/extract/read-path.ts';
import type { CollectionSpec } from './selection.ts';

/** How much of a resource a watch carries. What is unset is not restricted. */
export interface WatchShape {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Objects come without anything but their metadata. */
  metadataOnly: boolean;
}

/** What the API server takes as key, value and name; it refuses a list for anything else. */
const labelKey = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;
const objectName = /^[A-Za-z0-9._:-]+$/;
/** Selectors travel in the address, of which servers take some kilobytes. */
const longestSelector = 2_000;

/** The least that serves a target: what the API server leaves out, the target would leave out too. */
export function shapeOf(spec: Pick<CollectionSpec, 'names' | 'labelSelector' | 'resourceRules'>, profile: Pick<CompiledProfile, 'metadataOnly'>): WatchShape {
  const rules = spec.resourceRules ?? [];
  if (rules.length === 0) {
    const [name, ...others] = spec.names ?? [];
    const fieldSelector = name !== undefined && others.length === 0 && objectName.test(name) ? `metadata.name=${name}` : undefined;
    return { labelSelector: selectorText(spec.labelSelector), fieldSelector, metadataOnly: profile.metadataOnly };
  }
  const selectors = rules.map(selectorText);
  const policies = rules.flatMap(({ matchPolicy }) => (matchPolicy?.trim() ? [compileCel(matchPolicy)] : []));
  return {
    labelSelector: selectors.every((selector) => selector === selectors[0]) ? selectors[0] : undefined,
    metadataOnly: profile.metadataOnly && policies.every(({ reads }) => readsMetadataOnly(reads)),
  };
}

/** The least that serves all. */
export function joinShapes(shapes: readonly WatchShape[]): WatchShape {
  const agreed = (of: (shape: WatchShape) => string | undefined): string | undefined => {
    const first = shapes[0] && of(shapes[0]);
    return shapes.every((shape) => of(shape) === first) ? first : undefined;
  };
  return {
    labelSelector: agreed(({ labelSelector }) => labelSelector),
    fieldSelector: agreed(({ fieldSelector }) => fieldSelector),
    metadataOnly: shapes.every(({ metadataOnly }) => metadataOnly),
  };
}

/** Whether a watch of the one shape serves who needs the other. */
export function covers(shape: WatchShape, needed: WatchShape): boolean {
  return (
    (shape.labelSelector === undefined || shape.labelSelector === needed.labelSelector) &&
    (shape.fieldSelector === undefined || shape.fieldSelector === needed.fieldSelector) &&
    (!shape.metadataOnly || needed.metadataOnly)
  );
}

/**
 * A selector as the API server reads it, in one order; undefined for one that selects everything, or that it may refuse.
 *
 * @example selectorText({ matchLabels: { app: 'shop' } }) // 'app=shop'
 */
function selectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector = {}): string | undefined {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(matchLabels)) {
    if (!labelKey.test(key) || !labelValue.test(value)) return undefined;
    parts.push(`${key}=${value}`);
  }
  for (const { key, operator, values = [] } of matchExpressions) {
    if (!labelKey.test(key) || !values.every((value) => labelValue.test(value))) return undefined;
    if (operator === 'Exists') parts.push(key);
    else if (operator === 'DoesNotExist') parts.push(`!${key}`);
    else if ((operator === 'In' || operator === 'NotIn') && values.length > 0) parts.push(`${key} ${operator.toLowerCase()} (${values.toSorted().join(',')})`);
    else return undefined;
  }
  const text = parts.sort().join(',');
  return text === '' || text.length > longestSelector ? undefined : text;
}
