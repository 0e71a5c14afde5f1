import t from 'tap';
import { benchAdmission } from './admission.ts';
import { benchExtraction } from './extraction.ts';
import { table, type Figure } from './figures.ts';
import { benchGit } from './git-changes.ts';
import { benchPipeline } from './pipeline.ts';
import { measures, wantedMeasures } from './scale.ts';

// What the figures are is for `npm run bench` to say, on a machine that does nothing else. Here they only have to come about.
const scale = { rows: 300, rounds: 1, secondsARound: 0.3, changes: 5, burst: 100, steadySeconds: 1, changeRate: 50 };
const all = new Set(measures);
const silent = (): void => undefined;

t.test('every goal gets figures, even at the smallest scale', async (t) => {
  const [admission, pipeline, branches] = await Promise.all([benchAdmission(all, scale, silent), benchPipeline(all, scale, silent), benchGit(scale, silent)]);
  const figures = [...admission, ...benchExtraction(scale), ...pipeline, ...branches];
  const names = new Set(figures.map(({ measure }) => measure.split(' ', 1)[0]));
  t.strictSame([...names].sort(), [...measures].sort());
  for (const { measure, ours, beside = '', ratio = 1 } of figures) {
    t.ok(Number.isFinite(ratio) && ratio >= 0, `${measure}: the ratio is a number`);
    t.notMatch(`${ours} ${beside}`, /NaN|undefined|Infinity/, `${measure}: so is what it compares`);
  }
  const [change, burst] = figures.filter(({ measure }) => measure.startsWith('P6'));
  t.match(change?.beside, / 1 written$/, 'one changed object is one row written');
  t.match(burst?.beside, /^100 rows/, 'a burst writes each changed row once');
  const beside = (measure: RegExp): string | undefined => figures.find((figure) => measure.test(figure.measure))?.beside;
  t.match(beside(/^P8/), / 0 rows written$/, 'a look at what has not changed writes nothing');
  t.match(beside(/^P11 .* behind/), / [1-9]\d* rows written/, 'changes that never end are written');
});

t.test('one change costs one row where objects are generated, too', async (t) => {
  const figures = await benchPipeline(new Set(['P3', 'P6']), { ...scale, generated: true }, silent);
  t.match(figures.map(({ measure }) => measure), ['P3 collect 300, CPU', 'P3 collect 300, wall', /^P3 .* longest block/, 'P6 one change in 300 rows, request to row', 'P6 burst of 100 in 300 rows']);
  t.match(figures[3]?.beside, / 1 written$/);
  t.match(figures[4]?.beside, /^100 rows/);
});

t.test('a measure that does not exist is refused with those that do', async (t) => {
  t.strictSame([...wantedMeasures(['p3', 'P5'])], ['P3', 'P5']);
  t.strictSame([...wantedMeasures([])], [...measures]);
  t.throws(() => wantedMeasures(['admission']), { code: 'KOL_CONFIG_FLAG', message: 'there is no measure "admission": name any of P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12' });
});

t.test('the table shows the noise and the verdict', async (t) => {
  const figure: Figure = { measure: 'P9 work', ours: '2 s', beside: '1 s', ratio: 2, rounds: [1.5, 2, 3], goal: '≤ 3', met: true };
  const lines = table([figure, { measure: 'P9 size', ours: '5 MB', goal: '≤ 4 MB', met: false }]).split('\n');
  t.match(lines[1], /^P9 work +2 s +1 s +2\.00 +1\.50-3\.00 +≤ 3 +met$/);
  t.match(lines[2], /^P9 size +5 MB +≤ 4 MB +missed$/);
});
