import { Duration } from '@marcbachmann/cel-js/evaluator';
import { CelFault } from '../cel-fault.ts';
import { compareUtf8 } from '../compare-utf8.ts';
import { isJsonObject } from '../json.ts';
import type { Checker, CheckedType, Evaluator, Macro, MacroCall, Node, Scope } from './checker.ts';
import { compareValues } from './equality.ts';
import type { Library } from './library-function.ts';

/** What watches a loop: its cost, the errors that it swallows, and the members of maps that it visits. */
export interface LoopHooks {
  begins(items: number): void;
  swallows(error: unknown): void;
  visits(key: string, value: unknown, map: object): unknown;
}

/** A loop over keys and values, or over elements; lists have their indexes as keys. */
export interface LoopMacro extends Macro<LoopMacro> {
  variables: readonly string[];
  scopes?: Scope[];
  /** Set by the instrumentation. */
  hooks?: LoopHooks;
}

interface Entry {
  key: unknown;
  value: unknown;
}

/** Evaluates the body of a loop on one entry. */
type Body = (entry: Entry) => unknown;

interface Loop {
  /** Name of the type of the result. */
  gives: string;
  /** True when the body must give true or false. */
  isCondition?: boolean;
  run(entries: readonly Entry[], body: Body, keeps: (entry: Entry) => boolean, hooks: LoopHooks | undefined): unknown;
}

/** @param count of variables */
function loopMacro(name: string, count: number, { gives, isCondition = false, run }: Loop) {
  return ({ receiver, args }: MacroCall): LoopMacro => {
    const variables = args.slice(0, count).map((variable) => nameOf(name, variable));
    if (new Set(variables).size < count) throw new CelFault(`${name}(): the variables have the same name`);
    const [arg, exp] = args.length === count + 2 ? [args[count], args[count + 1]] : [undefined, args[count]];
    return {
      receiver,
      exp: exp as Node,
      arg,
      variables,
      typeCheck: (checker, macro, scope) => {
        macro.scopes = scopesOf(checker, macro, scope);
        const inner = macro.scopes.at(-1) as Scope;
        if (macro.arg !== undefined) refuseOther(name, checker.check(macro.arg, inner));
        const result = checker.check(macro.exp, inner);
        if (isCondition) refuseOther(name, result);
        return checker.getType(gives);
      },
      evaluate: (evaluator, macro, scope) => {
        const entries = entriesOf(name, evaluator.run(macro.receiver, scope), count, macro.hooks);
        const evaluated = (node: Node): Body => (entry) => evaluator.run(node, bind(macro, scope, entry, evaluator));
        const condition = (node: Node): ((entry: Entry) => boolean) => {
          const value = evaluated(node);
          return (entry) => truth(name, value(entry));
        };
        const keeps = macro.arg === undefined ? () => true : condition(macro.arg);
        return run(entries, isCondition ? condition(macro.exp) : evaluated(macro.exp), keeps, macro.hooks);
      },
    };
  };
}

function nameOf(name: string, node: Node): string {
  if (node.op !== 'id' || typeof node.args !== 'string') throw new CelFault(`the first arguments of ${name}() must be names of variables`);
  return node.args;
}

function scopesOf(checker: Checker, { receiver, variables }: LoopMacro, scope: Scope): Scope[] {
  const dyn = checker.getType('dyn');
  const range = checker.check(receiver, scope);
  const key = range.kind === 'list' ? checker.getType('int') : range.kind === 'map' ? (range.keyType ?? dyn) : dyn;
  const types = [key, range.valueType ?? dyn].slice(-variables.length);
  let inner = scope;
  return variables.map((variable, index) => (inner = inner.forkWithVariable(variable, types[index] as CheckedType)));
}

function refuseOther(name: string, { kind, ...type }: CheckedType & { type?: string; name?: string }): void {
  const said = String(type.name ?? type.type ?? kind);
  if (said !== 'bool' && !said.startsWith('dyn')) throw new CelFault(`${name}() needs a condition that gives true or false, not ${said}`);
}

function truth(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new CelFault(`${name}() needs a condition that gives true or false`);
  return value;
}

function bind({ scopes = [], variables }: LoopMacro, outer: Scope, { key, value }: Entry, evaluator: Evaluator): Scope {
  const values = [key, value].slice(-variables.length);
  return scopes.reduce((parent, scope, index) => scope.reuse(parent).setIterValue(values[index], evaluator), outer);
}

function entriesOf(name: string, range: unknown, count: number, hooks: LoopHooks | undefined): Entry[] {
  if (Array.isArray(range)) {
    hooks?.begins(range.length);
    return range.map((value: unknown, index): Entry => ({ key: BigInt(index), value }));
  }
  if (count === 2 && isJsonObject(range) && Object.getPrototypeOf(range) === Object.prototype) {
    const keys = Object.keys(range);
    hooks?.begins(keys.length);
    return keys.sort(compareUtf8).map((key): Entry => ({ key, value: hooks === undefined ? range[key] : hooks.visits(key, range[key], range) }));
  }
  throw new CelFault(count === 2 ? `${name}() needs a list or a map` : `${name}() needs a list`);
}

/** The first entry that decides; an error counts when none does. */
function decided(entries: readonly Entry[], body: Body, deciding: boolean, hooks: LoopHooks | undefined): boolean {
  let failure: unknown;
  for (const entry of entries) {
    try {
      if (body(entry) === deciding) return deciding;
    } catch (error) {
      hooks?.swallows(error);
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return !deciding;
}

const all: Loop = { gives: 'bool', isCondition: true, run: (entries, body, _keeps, hooks) => decided(entries, body, false, hooks) };
const exists: Loop = { gives: 'bool', isCondition: true, run: (entries, body, _keeps, hooks) => decided(entries, body, true, hooks) };
const existsOne: Loop = { gives: 'bool', isCondition: true, run: (entries, body) => entries.filter((entry) => body(entry) === true).length === 1 };
const transformList: Loop = { gives: 'list', run: (entries, body, keeps) => entries.filter(keeps).map(body) };
const transformMap: Loop = {
  gives: 'map',
  run: (entries, body, keeps) => Object.fromEntries(entries.filter(keeps).map((entry) => [String(entry.key), body(entry)])),
};
const transformMapEntry: Loop = {
  gives: 'map',
  run: (entries, body, keeps) => {
    const members = new Map<string, unknown>();
    for (const made of entries.filter(keeps).map(body)) {
      if (!isJsonObject(made)) throw new CelFault('transformMapEntry() needs an expression that gives a map');
      for (const [key, value] of Object.entries(made)) {
        if (members.has(key)) throw new CelFault('transformMapEntry(): a key is there twice');
        members.set(key, value);
      }
    }
    return Object.fromEntries(members);
  },
};
const sortBy: Loop = {
  gives: 'list',
  run: (entries, body) => {
    const keyed = entries.map((entry) => ({ key: body(entry), value: entry.value }));
    const first = keyed[0]?.key;
    if (keyed.some(({ key }) => typeof key !== typeof first) || (keyed.length > 0 && !isSortable(first))) throw new CelFault('sortBy(): the keys cannot be compared with each other');
    return keyed.sort((left, right) => order(left.key, right.key)).map(({ value }) => value);
  },
};

function order(left: unknown, right: unknown): number {
  const result = compareValues(left, right);
  if (result === undefined) throw new CelFault('sortBy(): the keys cannot be compared with each other');
  return result;
}

function isSortable(key: unknown): boolean {
  return compareValues(key, key) !== undefined || key instanceof Duration;
}

/** Loops over the keys and values of maps, and the indexes and elements of lists; and sorting by a key. */
export const twoVariableLibrary: Library = {
  functions: [
    ...Object.entries({ all, exists, existsOne, exists_one: existsOne }).map(([name, loop]) => ({ signature: `list.${name}(ast, ast, ast): bool`, handler: loopMacro(name, 2, loop) })),
    ...Object.entries({ transformList, transformMap, transformMapEntry }).flatMap(([name, loop]) =>
      ['ast, ast, ast', 'ast, ast, ast, ast'].map((parameters) => ({ signature: `list.${name}(${parameters}): ${loop.gives}`, handler: loopMacro(name, 2, loop) })),
    ),
    { signature: 'list.sortBy(ast, ast): list', handler: loopMacro('sortBy', 1, sortBy) },
  ],
};
