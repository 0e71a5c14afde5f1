import { Environment } from '@marcbachmann/cel-js';
import type { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { compileRegex } from './cel-regex.ts';
import { CelFault } from './cel-fault.ts';
import { isEqual } from './cel-library/equality.ts';
import type { Library } from './cel-library/library-function.ts';
import { listLibrary } from './cel-library/lists.ts';
import { namedFormatLibrary } from './cel-library/named-formats.ts';
import { networkLibrary } from './cel-library/network.ts';
import { optionalLibrary } from './cel-library/optionals.ts';
import { quantityLibrary } from './cel-library/quantity.ts';
import { regexLibrary } from './cel-library/regex.ts';
import { semverLibrary } from './cel-library/semver.ts';
import { setLibrary } from './cel-library/sets.ts';
import { stringLibrary } from './cel-library/strings.ts';
import { twoVariableLibrary } from './cel-library/two-variables.ts';
import { urlLibrary } from './cel-library/url.ts';
import { durationNanoseconds, timestampText } from './cel-timestamp.ts';

/** The variables of an expression. */
export interface CelVariables {
  /** What it is about, of dynamic type. */
  readonly subject: string;
  /** Others, which are strings. */
  readonly texts: readonly string[];
}

/**
 * The CEL environment of expressions: their variables, the standard functions and macros, optionals, and the string
 * functions of Kubernetes. Any other variable or function is refused when an expression is compiled.
 */
export function createEnvironment({ subject, texts }: CelVariables): Environment {
  const environment = new Environment({
    unlistedVariablesAreDyn: false,
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 1500, maxDepth: 60, maxListElements: 500, maxMapEntries: 500, maxCallArguments: 8 },
  });
  environment.registerVariable(subject, 'dyn');
  for (const text of texts) environment.registerVariable(text, 'string');
  for (const [signature, handler] of Object.entries(functions)) environment.registerFunction(signature, handler);
  for (const [operator, holds] of Object.entries(byteOrders)) environment.registerOperator(`bytes ${operator} bytes`, (left: Uint8Array, right: Uint8Array) => holds(Buffer.compare(left, right)));
  environment.registerOperator('optional<T> == optional<T>', isEqual);
  for (const library of libraries) register(environment, library);
  return environment;
}

/** What Kubernetes adds to CEL. */
const libraries: readonly Library[] = [listLibrary, namedFormatLibrary, networkLibrary, optionalLibrary, quantityLibrary, regexLibrary, semverLibrary, setLibrary, stringLibrary, twoVariableLibrary, urlLibrary];

function register(environment: Environment, { functions: added, types = [], namespaces = [] }: Library): void {
  for (const { name, ctor } of types) {
    environment.registerType(name, { ctor: ctor as new () => object, fields: {} });
    environment.registerOperator(`${name} == ${name}`, isEqual);
  }
  for (const namespace of namespaces) {
    // A namespace is a constant whose methods are the functions.
    const ctor = class {};
    environment.registerType(namespaceType(namespace), ctor);
    environment.registerConstant(namespace, namespaceType(namespace), new ctor());
  }
  for (const { signature, handler } of added) {
    const [receiver = ''] = signature.split('.', 1);
    const registered = namespaces.includes(receiver) ? signature.replace(receiver, namespaceType(receiver)) : signature;
    environment.registerFunction(registered, handler as (...operands: unknown[]) => unknown);
  }
}

function namespaceType(namespace: string): string {
  return `Kubernetes${namespace}`;
}

const byteOrders: Record<string, (order: number) => boolean> = { '<': (order) => order < 0, '<=': (order) => order <= 0, '>': (order) => order > 0, '>=': (order) => order >= 0 };

const timestampType = 'google.protobuf.Timestamp';
const durationType = 'google.protobuf.Duration';

/** Overloads that the library lacks. */
const functions: Record<string, (...args: never[]) => unknown> = {
  'matches(string, string): bool': (text: string, pattern: string) => compileRegex(pattern).test(text),
  [`string(${timestampType}): string`]: (timestamp: Date) => timestampText(timestamp),
  [`string(${durationType}): string`]: (duration: Duration) => durationText(duration),
  'int(uint): int': (value: UnsignedInt) => value.value,
  [`int(${timestampType}): int`]: (timestamp: Date) => BigInt(Math.floor(timestamp.getTime() / 1000)),
  [`timestamp(${timestampType}): ${timestampType}`]: (timestamp: Date) => timestamp,
  [`duration(${durationType}): ${durationType}`]: (duration: Duration) => duration,
  'string.charAt(int): string': charAt,
  'string.replace(string, string): string': (text: string, from: string, to: string) => text.replaceAll(from, () => to),
  'string.replace(string, string, int): string': replaceSome,
};

/** CEL writes durations as seconds with a fraction, such as `5400s` or `0.25s`. */
function durationText(duration: Duration): string {
  const total = durationNanoseconds(duration);
  const size = total < 0n ? -total : total;
  const fraction = (size % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return `${total < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}s`;
}

function charAt(text: string, index: bigint): string {
  const characters = [...text];
  if (index < 0n || index > BigInt(characters.length)) throw new CelFault('charAt(): index out of range');
  return characters[Number(index)] ?? '';
}

function replaceSome(text: string, from: string, to: string, count: bigint): string {
  if (count < 0n) return text.replaceAll(from, () => to);
  let left = count;
  return text.replaceAll(from, (found) => (left-- > 0n ? to : found));
}
