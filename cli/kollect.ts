import { KollectError } from '../shared/errors.ts';
import { nearestName } from '../shared/nearest.ts';
import { versionText } from '../shared/version.ts';
import type { Command, ExitCode, Terminal } from './command.ts';
import { exportCommand } from './export/command.ts';
import { lintCommand } from './lint/lint-command.ts';

/** In the order of the help. */
const commands: readonly Command[] = [lintCommand, exportCommand];

/** Runs a command line, without the name of the program. Never throws for what a user wrote. */
export async function kollect(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const [word, ...rest] = argv;
  switch (word) {
    case undefined:
      terminal.stderr.write(help());
      return 2;
    case '--help':
    case '-h':
    case 'help':
      if (rest[0] !== undefined) return kollect([rest[0], '--help'], terminal);
      terminal.stdout.write(help());
      return 0;
    case '--version':
      terminal.stdout.write(`${versionText()}\n`);
      return 0;
  }
  const command = commands.find(({ name }) => name === word);
  if (command === undefined) return misused(terminal, 'kollect', unknownWord(word));
  try {
    return await command.run(rest, terminal);
  } catch (error) {
    if (error instanceof KollectError && error.code === 'KOL_CONFIG_FLAG') return misused(terminal, `kollect ${command.name}`, error.message);
    throw error;
  }
}

function misused({ stderr }: Terminal, program: string, message: string): ExitCode {
  stderr.write(`${program}: ${message}\n`);
  return 2;
}

function unknownWord(word: string): string {
  if (word.startsWith('-')) return `unknown flag ${word}: flags of a command come after its name; --help lists all commands`;
  const near = nearestName(word, commands.map(({ name }) => name));
  return `unknown command ${JSON.stringify(word)}${near === undefined ? '' : `, did you mean ${JSON.stringify(near)}?`}; --help lists all commands`;
}

function help(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: kollect <command> [flags]

Commands:
${lines.join('\n')}

Flags:
  -h, --help     Show this help; kollect <command> --help that of a command.
      --version  Print the version and exit.
`;
}
