import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { plainEnvironment } from '../servers/keeper.ts';
import { runCommand } from '../servers/run-command.ts';

// A backend that nobody thought of is added to a copy of the project: one folder, one file with its settings, one line in each of two registries, and nothing else.

const root = join(import.meta.dirname, '..', '..');
const copy = t.testdir();
const file = (path: string, text: string): void => {
  mkdirSync(dirname(join(copy, path)), { recursive: true });
  writeFileSync(join(copy, path), text);
};
const addLine = (path: string, before: string, line: string): void => file(path, readFileSync(join(copy, path), 'utf8').replace(before, `${line}\n${before}`));

for (const part of ['shared', 'controller', 'webhook', 'cli', 'tools', 'manifests', 'docs', 'test/sinks', 'test/faults/random.ts', 'package.json', 'tsconfig.json']) cpSync(join(root, part), join(copy, part), { recursive: true });
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

file('controller/sinks/imaginary/backend.ts', `${readFileSync(join(root, 'test/sinks/memory.ts'), 'utf8').replaceAll("'../../controller/sinks/", "'../").replaceAll("'../../shared/", "'../../../shared/").replaceAll("'memory'", "'imaginary'")}
export const imaginary = memoryBackend(new MemoryPlace());
`);
file('shared/api/sinks/imaginary.ts', `import { z } from 'zod';
import type { SinkTypeFacts } from '../sink-types.ts';

const ImaginarySettings = z.object({ shelf: z.string().min(1).meta({ description: 'Where it is kept.' }) });

export const imaginary = {
  family: 'database',
  block: 'imaginary',
  settings: ImaginarySettings,
  about: 'Settings of type imaginary.',
  isBlockRequired: true,
  formats: ['json'],
  compressions: ['none'],
  options: ['dust'],
  hasLayout: false,
  isBuilt: true,
} as const satisfies SinkTypeFacts;
`);
addLine('shared/api/sinks/registry.ts', "export { kafka }", "export { imaginary } from './imaginary.ts';");
addLine('controller/sinks/registry.ts', '  postgres: async', "  imaginary: async () => (await import('./imaginary/backend.ts')).imaginary,");

const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await runCommand(process.execPath, args, { cwd: copy, env: plainEnvironment() });
  return { code, output: stdout + stderr };
};

t.test('its types hold', async (t) => {
  file('tsconfig.json', readFileSync(join(copy, 'tsconfig.json'), 'utf8').replace(/"include": \[.*\]/, '"include": ["shared", "webhook", "controller", "cli"]'));
  t.match(await run('node_modules/typescript/lib/tsc.js', '--noEmit'), { code: 0, output: '' });
});

t.test('the CRD has its block', async (t) => {
  t.match(await run('tools/manifests.ts'), { code: 0 });
  const crd = readFileSync(join(copy, 'manifests/crds/kollect.dev_kollectdatabasesinks.yaml'), 'utf8');
  t.match(crd, /^ +- imaginary$/m);
  t.match(crd, /^ +imaginary:\n +description: Settings of type imaginary\.\n/m);
});

t.test('its sinks are judged', async (t) => {
  const sink = (spec: string): string => `apiVersion: kollect.dev/v1alpha1\nkind: KollectDatabaseSink\nmetadata: {name: attic, namespace: team-a}\nspec: {type: imaginary, ${spec}}\n`;
  const judged = async (spec: string) => {
    file('sink.yaml', sink(spec));
    return run('cli/main.ts', 'lint', 'sink.yaml');
  };
  t.match(await judged('imaginary: {shelf: top}, options: {dust: "1"}'), { code: 0 });
  t.match(await judged('options: {dust: "1"}'), { code: 1, output: /spec\.imaginary: Required value: a sink of the type imaginary needs this block/ });
  t.match(await judged('imaginary: {shelf: 3}'), { code: 1, output: /spec\.imaginary\.shelf/ });
  t.match(await judged('imaginary: {shelf: top}, postgres: {databaseRef: {name: dsn}, table: t}'), { code: 1, output: /spec\.postgres: Forbidden.*imaginary/ });
  t.match(await judged('imaginary: {shelf: top}, options: {moths: "1"}'), { code: 0, output: /spec\.options\[moths\]/ });
});

t.test('it is loaded by its type, and conforms', async (t) => {
  const suite = readFileSync(join(root, 'test/sinks/memory-conforms.test.ts'), 'utf8');
  file('test/sinks/imaginary-conforms.test.ts', suite.replace("'./memory.ts'", "'../../controller/sinks/imaginary/backend.ts'").replaceAll("'memory'", "'imaginary'"));
  const { code, output } = await run('test/sinks/imaginary-conforms.test.ts');
  t.equal(code, 0, output.slice(-2000));
  file('opened.ts', "import { loadBackend } from './controller/sinks/registry.ts';\nconsole.log((await loadBackend('imaginary')).type);\n");
  t.match(await run('opened.ts'), { code: 0, output: 'imaginary\n' });
});
