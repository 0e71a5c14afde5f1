// `npm run bench`: figures of speed and size as ratios against something that runs beside us. It judges nothing: the exit code says only that it ran.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseFlags } from '../../shared/flags.ts';
import { benchAdmission } from './admission.ts';
import { benchExtraction } from './extraction.ts';
import { table, type Figure } from './figures.ts';
import { benchPipeline } from './pipeline.ts';

const flags = parseFlags(
  {
    only: { type: 'list', placeholder: 'admission|extraction|pipeline', help: 'Run this part: admission (P1, P2), extraction (P5), pipeline (P3, P4, P6, P7).' },
    rows: { type: 'integer', default: 10_000, min: 100, max: 1_000_000, help: 'Largest number of Deployments. 100000 takes about ten minutes.' },
    json: { type: 'string', placeholder: 'file', help: 'Write the figures to a file, too.' },
  },
  process.argv.slice(2),
  { usage: 'npm run bench -- [flags]' },
);

async function main(): Promise<void> {
  if (flags.help !== undefined) return void process.stdout.write(flags.help);
  const wanted = (part: string): boolean => flags.only.length === 0 || flags.only.includes(part);
  const report = (line: string): void => console.log(line);
  execFileSync(process.execPath, [join(import.meta.dirname, '..', '..', 'tools', 'build.ts')], { stdio: 'ignore' });
  const figures: Figure[] = [];
  if (wanted('extraction')) figures.push(...(await benchExtraction()));
  if (wanted('admission')) figures.push(...(await benchAdmission(report)));
  if (wanted('pipeline')) figures.push(...(await benchPipeline([1_000, 10_000, 100_000, 1_000_000].filter((size) => size < flags.rows).concat(flags.rows), report)));
  console.log(`\n${table(figures)}`);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(figures, null, 2)}\n`);
}

await main();
