import { KollectError } from './errors.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export const logFormats = ['json', 'text'] as const;
export type LogFormat = (typeof logFormats)[number];

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Writes one line per call. Fields hold identifiers and numbers; an `Error` becomes its message, and its code when it has one.
 * Secrets, payloads and attribute values have no place here.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds the fields to every line; `logger` extends the name: `controller` → `controller.sinks`. */
  child(fields: LogFields & { logger?: string }): Logger;
}

export interface LoggerOptions {
  level: LogLevel;
  format: LogFormat;
  name: string;
  /** Where lines go, newline included. Standard error when unset. */
  write?: (line: string) => void;
}

/**
 * @example
 * const log = createLogger({ level: 'info', format: 'json', name: 'webhook' });
 * log.info('serving', { port: 9443 });
 * // {"ts":"2026-01-02T03:04:05.678Z","level":"info","logger":"webhook","msg":"serving","port":9443}
 */
export function createLogger(options: LoggerOptions): Logger {
  const { name, format, write = writeToStandardError } = options;
  return bind({ name, threshold: logLevels.indexOf(options.level), render: format === 'json' ? renderJson : renderText, write }, {});
}

type Render = (ts: string, level: LogLevel, name: string, message: string, fields: LogFields) => string;

interface Target {
  name: string;
  threshold: number;
  render: Render;
  write: (line: string) => void;
}

function bind(target: Target, bound: LogFields): Logger {
  const method = (level: LogLevel) => {
    if (logLevels.indexOf(level) < target.threshold) return () => {};
    return (message: string, fields?: LogFields) => {
      const all = fields === undefined ? bound : { ...bound, ...fields };
      target.write(`${target.render(new Date().toISOString(), level, target.name, message, all)}\n`);
    };
  };
  return {
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    child({ logger, ...fields }) {
      return bind(logger === undefined ? target : { ...target, name: `${target.name}.${logger}` }, { ...bound, ...fields });
    },
  };
}

function renderJson(ts: string, level: LogLevel, logger: string, msg: string, fields: LogFields): string {
  return JSON.stringify({ ts, level, logger, msg, ...fields }, plain);
}

function renderText(ts: string, level: LogLevel, name: string, message: string, fields: LogFields): string {
  let line = `${ts} ${level.toUpperCase().padEnd(5)} ${name} ${message}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = typeof value === 'string' ? value : JSON.stringify(value, plain);
    line += ` ${key}=${/^[\w./:@-]+$/.test(text) ? text : JSON.stringify(text)}`;
  }
  // A message may quote what a server said; a line stays one line.
  return line.replaceAll(/[\r\n]+/g, ' ');
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof KollectError) return { code: value.code, message: value.message };
  if (value instanceof Error) return 'code' in value ? { code: value.code, message: value.message } : value.message;
  return value;
}

function writeToStandardError(line: string): void {
  process.stderr.write(line);
}
