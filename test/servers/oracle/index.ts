import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedVersion } from '../binary.ts';
import type { GoBinary } from '../binary.ts';
import { obtain } from '../obtain.ts';

const version = pinnedVersion(import.meta.dirname, 'k8s.io/apiserver');
const command = createHash('sha256').update(readFileSync(join(import.meta.dirname, 'main.go'))).digest('hex');

/** Evaluates expressions with Kubernetes' own libraries. */
export const oracleBinary: GoBinary & { name: 'kubernetes-expressions' } = {
  name: 'kubernetes-expressions',
  // The command is ours: another text is another binary.
  version: `${version}-${command.slice(0, 8)}`,
  moduleFolder: import.meta.dirname,
  package: '.',
  linkerFlags: [],
};

export interface Question {
  language: 'cel' | 'jsonpath';
  expression: string;
  object: unknown;
}

/** What Kubernetes makes of an expression: a JSON value, for JSONPath the list of what was found; or why it fails. */
export interface Answer {
  value?: unknown;
  error?: string;
}

/** Asks Kubernetes' own libraries, all questions in one process. Answers come in the order of the questions. */
export async function askKubernetes(questions: readonly Question[]): Promise<Answer[]> {
  const { 'kubernetes-expressions': program } = await obtain([oracleBinary]);
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(questions.map((question) => `${JSON.stringify(question)}\n`).join(''));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const lines = text.split('\n').filter((line) => line !== '');
  if (code !== 0 || lines.length !== questions.length) throw new Error(`${program} ended with ${code} after ${lines.length} of ${questions.length} answers`);
  return lines.map((line) => JSON.parse(line) as Answer);
}
