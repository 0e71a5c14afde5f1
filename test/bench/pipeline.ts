import { collectionFigures, measureCollection, memoryFigures, type Collection } from './collection.ts';
import { apiRequestFigures, measureApiRequests } from './api-requests.ts';
import { changeFigures, measureBurst, measureChanges, type Burst, type Changes } from './changes.ts';
import { Environment } from './environment.ts';
import type { Figure } from './figures.ts';
import { firstExportFigures, measureFirstExport } from './first-export.ts';
import { largeExportFigures, measureLargeExport } from './large-export.ts';
import type { Measure, Scale } from './scale.ts';
import { measureSteadyChanges, steadyFigures } from './steady-changes.ts';
import { measureUnchanged, unchangedFigures, type Unchanged } from './unchanged.ts';

/**
 * P3, P4 and P6 to P12: the whole pipeline at growing numbers of Deployments, with a controller that is started anew at each size. What compares sizes
 * runs at all of them, the rest at the largest. `profiles` is a folder for CPU profiles of the controller.
 */
export async function benchPipeline(wanted: ReadonlySet<Measure>, scale: Scale, report: (line: string) => void, profiles?: string): Promise<Figure[]> {
  const environment = await Environment.start(report, profiles, scale.generated);
  try {
    const collections: Collection[] = [];
    const changes: Changes[] = [];
    const figures: Figure[] = [];
    const unchanged: Unchanged[] = [];
    let burst: Burst | undefined;
    for (const rows of sizesOf(wanted, scale.rows)) {
      const last = rows === scale.rows;
      await environment.fill(rows);
      collections.push(await measureCollection(environment, last && wanted.has('P3') ? scale.rounds : 1));
      if (last && wanted.has('P9')) {
        figures.push(...largeExportFigures(await measureLargeExport(environment)));
        if (afterExport.some((measure) => wanted.has(measure))) await environment.deleteInventory();
      }
      if (afterExport.some((measure) => wanted.has(measure))) {
        const compared = last && wanted.has('P7');
        const exported = await measureFirstExport(environment, { rounds: compared ? scale.rounds : 1, compared });
        if (compared) figures.push(...firstExportFigures(exported));
      }
      if (wanted.has('P6')) {
        changes.push(await measureChanges(environment, scale.changes));
        if (last) burst = await measureBurst(environment, scale.burst);
      }
      if (last && wanted.has('P12')) figures.push(...apiRequestFigures(await measureApiRequests(environment, scale.steadySeconds)));
      if (last && wanted.has('P11')) figures.push(...steadyFigures(await measureSteadyChanges(environment, scale)));
      if (wanted.has('P8')) unchanged.push(await measureUnchanged(environment, scale.steadySeconds));
      await environment.reset();
    }
    const largest = collections.at(-1)!;
    if (wanted.has('P3')) figures.push(...collectionFigures(largest));
    if (wanted.has('P4')) figures.push(...memoryFigures(largest, collections.length > 1 ? collections[0] : undefined));
    if (burst) figures.push(...changeFigures(changes, burst));
    return [...figures, ...unchangedFigures(unchanged)];
  } finally {
    await environment.stop();
  }
}

/** What begins with an inventory that is exported. */
const afterExport: readonly Measure[] = ['P6', 'P7', 'P8', 'P11', 'P12'];

/** P6 and P8 compare all sizes, P4 needs two. */
function sizesOf(wanted: ReadonlySet<Measure>, largest: number): number[] {
  const smaller = wanted.has('P6') || wanted.has('P8') ? [1_000, 10_000, 100_000] : wanted.has('P4') ? [Math.min(1_000, largest / 2)] : [];
  return [...smaller.filter((size) => size < largest), largest];
}
