import { annotations } from '../../api/annotations.ts';
import type { AnnotationValues } from './annotations.ts';

/** What people steer an inventory with. */
export const inventoryAnnotations: AnnotationValues = { [annotations.reconcile]: 'any', [annotations.pauseDeletes]: 'true', [annotations.allowDeletes]: 'true' };
