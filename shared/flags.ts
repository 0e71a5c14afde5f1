import { parseArgs } from 'node:util';
import { KollectError } from './errors.ts';
import { nearestName } from './nearest.ts';
import { wrap } from './wrap.ts';

interface AnyFlag {
  /** One letter, for commands that people type: `o` for `-o`. */
  short?: string;
  help: string;
}

interface BooleanFlag extends AnyFlag {
  type: 'boolean';
  default: boolean;
}

interface IntegerFlag extends AnyFlag {
  type: 'integer';
  /** Without a default the value may be undefined. */
  default?: number;
  min?: number;
  max?: number;
}

interface StringFlag extends AnyFlag {
  type: 'string';
  default?: string;
  choices?: readonly string[];
  /** What the help calls the value; `string` when unset. */
  placeholder?: string;
}

interface ListFlag extends AnyFlag {
  type: 'list';
  placeholder?: string;
}

/** A value with a form of its own, such as a duration. `parse` throws an `Error` that says what to write instead. */
interface ParsedFlag extends AnyFlag {
  type: 'parsed';
  parse: (text: string) => unknown;
  default?: string;
  placeholder: string;
}

export type FlagDefinition = BooleanFlag | IntegerFlag | StringFlag | ListFlag | ParsedFlag;
export type FlagDefinitions = Readonly<Record<string, FlagDefinition>>;

type FlagValue<F extends FlagDefinition> = F extends { type: 'boolean' }
  ? boolean
  : F extends { type: 'list' }
    ? string[]
    : F extends { type: 'integer' }
      ? OptionalUnlessDefault<F, number>
      : F extends { type: 'string'; choices: readonly (infer C)[] }
        ? OptionalUnlessDefault<F, C>
        : F extends { type: 'parsed'; parse: (text: string) => infer R }
          ? OptionalUnlessDefault<F, R>
          : OptionalUnlessDefault<F, string>;
type OptionalUnlessDefault<F, T> = F extends { default: string | number } ? T : T | undefined;

export type FlagValues<D extends FlagDefinitions> = { [K in keyof D]: FlagValue<D[K]> } & {
  /** The help text, when `--help` or `-h` was given. */
  help: string | undefined;
  /** What stands beside flags, in its order. Empty unless the command takes arguments. */
  arguments: readonly string[];
};

export interface CommandLine {
  /** The first line of the help: `webhook [flags]`. */
  usage: string;
  /** What the help says of the command, before its flags. */
  about?: string;
  /** True when the command takes arguments beside flags, `-` among them; otherwise they are refused. */
  takesArguments?: boolean;
}

/**
 * Reads a command line. `--name value`, `--name=value`, `--switch`, `--switch=false`, `-n value`; a `list` flag may be repeated. The last
 * one wins otherwise. What follows `--` is no flag. Throws `KOL_CONFIG_FLAG` for an unknown flag (naming the nearest), a missing value and a value out of range.
 *
 * @example
 * const flags = parseFlags({ port: { type: 'integer', default: 9443, help: 'Port to serve on.' } }, process.argv.slice(2), { usage: 'webhook [flags]' });
 * if (flags.help !== undefined) process.stdout.write(flags.help);
 */
export function parseFlags<const D extends FlagDefinitions>(definitions: D, argv: readonly string[], options: CommandLine): FlagValues<D> {
  const given: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries<FlagDefinition>(definitions)) values[name] = defaultValue(definition);

  const help = argv.includes('--help') || argv.includes('-h') ? flagHelp(definitions, options) : undefined;
  if (help === undefined) {
    for (const { name, value } of readTokens(definitions, argv)) {
      if (name === undefined) {
        if (options.takesArguments !== true) throw new KollectError('KOL_CONFIG_FLAG', `unexpected argument ${JSON.stringify(value)}: flags begin with --`);
        given.push(value);
        continue;
      }
      const definition = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
      if (definition === undefined) throw unknownFlag(name, definitions);
      if (definition.type === 'list') (values[name] as string[]).push(required(name, value));
      else values[name] = readValue(name, definition, value);
    }
  }
  return { ...values, help, arguments: given } as unknown as FlagValues<D>;
}

/** A flag, or without a name an argument. */
type Token = { name: string; value: string | undefined } | { name: undefined; value: string };

function* readTokens(definitions: FlagDefinitions, argv: readonly string[]): Generator<Token> {
  const options = Object.fromEntries(
    Object.entries(definitions).map(([name, { type, short }]) => [name, { type: type === 'boolean' ? ('boolean' as const) : ('string' as const), ...(short === undefined ? {} : { short }) }]),
  );
  // Not strict: the built-in checks refuse `--switch=false` and suggest no name.
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'positional') yield { name: undefined, value: token.value };
    if (token.kind === 'option') {
      const isShort = !token.rawName.startsWith('--');
      if (isShort && token.name === token.rawName.slice(1)) throw new KollectError('KOL_CONFIG_FLAG', `unknown flag ${token.rawName}: ${shortFlags(definitions)}`);
      // Also `-o=json`, as kubectl takes it.
      yield { name: token.name, value: isShort ? token.value?.replace(/^=/, '') : token.value };
    }
  }
}

function shortFlags(definitions: FlagDefinitions): string {
  const letters = Object.values(definitions).flatMap(({ short }) => (short === undefined ? [] : [`-${short}`]));
  return letters.length === 0 ? 'flags begin with --' : `known are ${[...letters, '-h'].join(', ')}, and those that --help lists`;
}

function readValue(name: string, definition: Exclude<FlagDefinition, ListFlag>, value: string | undefined): unknown {
  switch (definition.type) {
    case 'boolean':
      if (value === undefined || value === 'true') return true;
      if (value === 'false') return false;
      throw invalid(name, value, 'write true or false');
    case 'integer': {
      const text = required(name, value);
      const { min = 0, max = Number.MAX_SAFE_INTEGER } = definition;
      const number = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
      if (!(number >= min && number <= max)) {
        throw invalid(name, text, max === Number.MAX_SAFE_INTEGER ? `write a whole number of at least ${min}` : `write a whole number from ${min} to ${max}`);
      }
      return number;
    }
    case 'string': {
      const text = required(name, value);
      if (definition.choices !== undefined && !definition.choices.includes(text)) throw invalid(name, text, `write one of ${definition.choices.join(', ')}`);
      return text;
    }
    case 'parsed':
      return parsed(name, definition, required(name, value));
  }
}

function parsed(name: string, definition: ParsedFlag, text: string): unknown {
  try {
    return definition.parse(text);
  } catch (error) {
    throw invalid(name, text, error instanceof Error ? error.message : String(error));
  }
}

function defaultValue(definition: FlagDefinition): unknown {
  if (definition.type === 'list') return [];
  if (definition.type === 'parsed') return definition.default === undefined ? undefined : definition.parse(definition.default);
  return definition.default;
}

function required(name: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new KollectError('KOL_CONFIG_FLAG', `flag --${name} needs a value`);
  return value;
}

function invalid(name: string, value: string, fix: string): KollectError {
  return new KollectError('KOL_CONFIG_FLAG', `invalid value ${JSON.stringify(value)} for flag --${name}: ${fix}`);
}

function unknownFlag(name: string, definitions: FlagDefinitions): KollectError {
  const near = nearestName(name, Object.keys(definitions));
  return new KollectError('KOL_CONFIG_FLAG', `unknown flag --${name}${near === undefined ? '' : `, did you mean --${near}?`}; --help lists all flags`);
}

/** Width of the help, as terminals have it. */
const helpColumns = 110;

function flagHelp(definitions: FlagDefinitions, { usage, about }: CommandLine): string {
  const all: [string, FlagDefinition][] = [...Object.entries(definitions), ['help', { type: 'boolean', default: false, help: 'Show this help.' }]];
  const hasShort = all.some(([, { short }]) => short !== undefined);
  const rows = all.map(([name, definition]) => {
    const short = name === 'help' ? 'h' : definition.short;
    const prefix = hasShort ? (short === undefined ? '    ' : `-${short}, `) : '';
    return { left: `  ${prefix}--${name}${placeholder(definition)}`, text: helpText(definition) };
  });
  const indent = Math.max(...rows.map(({ left }) => left.length)) + 2;
  const lines = rows.map(({ left, text }) => left.padEnd(indent) + wrap(text, Math.max(30, helpColumns - indent)).join(`\n${' '.repeat(indent)}`));
  return `Usage: ${usage}\n\n${about === undefined ? '' : `${about}\n\n`}Flags:\n${lines.join('\n')}\n`;
}

function placeholder(definition: FlagDefinition): string {
  switch (definition.type) {
    case 'boolean':
      return '';
    case 'integer':
      return ' <number>';
    case 'string':
      return ` <${definition.placeholder ?? definition.choices?.join('|') ?? 'string'}>`;
    default:
      return ` <${definition.placeholder ?? 'string'}>`;
  }
}

function helpText(definition: FlagDefinition): string {
  if (definition.type === 'list') return `${definition.help} May be repeated.`;
  if (definition.type === 'boolean') return definition.default ? `${definition.help} (default true)` : definition.help;
  return definition.default === undefined || definition.default === '' ? definition.help : `${definition.help} (default ${definition.default})`;
}
