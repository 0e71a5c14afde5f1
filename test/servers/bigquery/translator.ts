import { spawn } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { obtainFolder } from '../cached-folder.ts';
import { plainEnvironment } from '../keeper.ts';
import type { ObtainOptions } from '../obtain.ts';

/** Of a parameter: a type, an array of one, or rows with columns of types. */
export type ParameterType = string | { array: string } | { struct: Record<string, string> };

export interface Translated {
  sql: string;
  /** Of the parameters `$1`, `$2` … */
  names: string[];
  /** `MERGE`, `SELECT` … */
  kind: string;
}

export interface Translator {
  /** Gives PostgreSQL's SQL for BigQuery's. Rejects when BigQuery's grammar does not know it. */
  translate(sql: string, parameters: Readonly<Record<string, ParameterType>>): Promise<Translated>;
  stop(): void;
}

/** Gives the folder with sqlglot, a parser of the SQL of many databases: from the cache, else by pip. Rejects with `ObtainError`. */
export function obtainSqlglot(options: ObtainOptions = {}): Promise<string> {
  const requirements = join(import.meta.dirname, 'requirements.txt');
  return obtainFolder(
    {
      name: readFileSync(requirements, 'utf8').trim().replace('==', '-'),
      origin: 'PyPI, by python3 -m pip',
      fill: async (folder, run, scratch) => {
        const installed = join(scratch, 'installed');
        await run('python3', ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--no-compile', '--target', installed, '--requirement', requirements]);
        cpSync(join(installed, 'sqlglot'), join(folder, 'sqlglot'), { recursive: true });
      },
    },
    options,
  );
}

/** Starts a process that reads BigQuery's SQL and writes PostgreSQL's. It ends with this one. */
export async function startTranslator(): Promise<Translator> {
  const folder = await obtainSqlglot();
  const child = spawn('python3', [join(import.meta.dirname, 'translate.py')], { env: { ...plainEnvironment(), PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' }, stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: PromiseWithResolvers<Translated & { error?: string }>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(JSON.parse(line) as Translated));
  const ended = (): void => {
    for (const one of waiting.splice(0)) one.reject(new Error('python3 has ended: it is needed to read the SQL of BigQuery'));
  };
  child.once('error', ended).once('exit', ended);
  /** Statements are few. */
  const known = new Map<string, Translated>();
  return {
    translate: async (sql, parameters) => {
      const question = JSON.stringify({ sql, parameters });
      const before = known.get(question);
      if (before) return before;
      const answer = Promise.withResolvers<Translated & { error?: string }>();
      waiting.push(answer);
      child.stdin.write(`${question}\n`);
      const { error, ...translated } = await answer.promise;
      if (error !== undefined) throw new Error(error);
      known.set(question, translated);
      return translated;
    },
    stop: () => child.kill(),
  };
}
