import { readdirSync } from 'node:fs';
import type { Vector } from './vector.ts';

const modules = await Promise.all(readdirSync(import.meta.dirname).filter((name) => !['all.ts', 'vector.ts'].includes(name) && name.endsWith('.ts')).toSorted().map((name) => import(`./${name}`) as Promise<Record<string, readonly Vector[]>>));

/** Every vector: what admission has to say about which object. */
export const allVectors: readonly Vector[] = modules.flatMap((module) => Object.entries(module).flatMap(([name, value]) => (name.endsWith('Vectors') ? value : [])));
