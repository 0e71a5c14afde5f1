// `npm run bench`: figures of speed and size as ratios against something that runs beside us. It judges nothing: the exit code says only that it ran.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KollectError } from '../../shared/errors.ts';
import { parseFlags } from '../../shared/flags.ts';
import { benchAdmission } from './admission.ts';
import { benchExtraction } from './extraction.ts';
import { table, type Figure } from './figures.ts';
import { benchGit } from './git-changes.ts';
import { benchPipeline } from './pipeline.ts';
import { measures, wantedMeasures, type Scale } from './scale.ts';

const about = `P1 admission under load, P2 start and memory of the webhook, P3 collecting, P4 memory of the controller, P5 extraction,
P6 one change and a burst, P7 the first export, P8 a look at an unchanged destination, P9 memory of a large export, P10 files in git,
P11 changes that never end, P12 what the API server is asked. All of them when none is named.`;

async function main(): Promise<void> {
  const flags = parseFlags(
    {
      rows: { type: 'integer', default: 10_000, min: 100, max: 1_000_000, help: 'Largest number of Deployments. 100000 takes about fifteen minutes.' },
      rounds: { type: 'integer', default: 5, min: 1, max: 100, help: 'Repetitions of what is compared; medians are shown.' },
      generated: { type: 'boolean', default: false, help: 'Take Deployments from a generator in front of the API server: etcd needs long for more than 100000.' },
      seconds: { type: 'integer', default: 20, min: 1, max: 3_600, help: 'Length of what P8, P11 and P12 watch. The goal of P11 speaks of 300.' },
      rate: { type: 'integer', default: 1_000, min: 1, max: 10_000, help: 'Changes a second in P11. An API server on this machine may not take as many: see --generated.' },
      json: { type: 'string', placeholder: 'file', help: 'Write the figures to a file, too.' },
      profile: { type: 'string', placeholder: 'folder', help: 'Write CPU profiles of the controller there. Its figures suffer.' },
    },
    process.argv.slice(2),
    { usage: 'npm run bench -- [P1 P2 …] [flags]', about, takesArguments: true },
  );
  if (flags.help !== undefined) return void process.stdout.write(flags.help);
  const wanted = wantedMeasures(flags.arguments);

  const report = (line: string): void => console.log(line);
  const scale: Scale = { rows: flags.rows, rounds: flags.rounds, secondsARound: 3, changes: 200, burst: 10_000, steadySeconds: flags.seconds, changeRate: flags.rate, generated: flags.generated };
  execFileSync(process.execPath, [join(import.meta.dirname, '..', '..', 'tools', 'build.ts')], { stdio: 'ignore' });
  const figures: Figure[] = [];
  if (wanted.has('P1') || wanted.has('P2')) figures.push(...(await benchAdmission(wanted, scale, report)));
  if (wanted.has('P5')) figures.push(...benchExtraction(scale));
  if (measures.some((measure) => !['P1', 'P2', 'P5', 'P10'].includes(measure) && wanted.has(measure))) figures.push(...(await benchPipeline(wanted, scale, report, flags.profile)));
  if (wanted.has('P10')) figures.push(...(await benchGit(scale, report)));
  const numberOf = ({ measure }: Figure): number => Number(/\d+/.exec(measure)?.[0]);
  figures.sort((a, b) => numberOf(a) - numberOf(b));
  console.log(`\n${table(figures)}`);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(figures, null, 2)}\n`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof KollectError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
