import { Optional } from '@marcbachmann/cel-js';
import { UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { CelFault } from '../cel-fault.ts';
import type { Macro, MacroCall, Scope } from './checker.ts';
import type { Library } from './library-function.ts';
import { unwrap } from './lists.ts';

interface OptionalMacro extends Macro<OptionalMacro> {
  variable: string;
  scope?: Scope;
}

/** `optMap` and `optFlatMap`: the expression over the value of an optional, evaluated when there is one. */
function mapMacro(finish: (result: unknown) => unknown) {
  return ({ receiver, args }: MacroCall): OptionalMacro => {
    const [variable, exp] = args;
    if (variable === undefined || exp === undefined || variable.op !== 'id' || typeof variable.args !== 'string') throw new CelFault('the first argument of optMap() and optFlatMap() must be the name of a variable');
    return {
      receiver,
      exp,
      variable: variable.args,
      typeCheck: (checker, macro, scope) => {
        const { valueType } = checker.check(macro.receiver, scope);
        macro.scope = scope.forkWithVariable(macro.variable, valueType ?? checker.getType('dyn'));
        checker.check(macro.exp, macro.scope);
        return checker.getType('optional');
      },
      evaluate: (evaluator, macro, scope) => {
        const optional = evaluator.run(macro.receiver, scope);
        if (!(optional instanceof Optional)) throw new CelFault('optMap() and optFlatMap() are functions of optional values');
        if (!optional.hasValue() || macro.scope === undefined) return optional;
        return finish(evaluator.run(macro.exp, macro.scope.reuse(scope).setIterValue(optional.value(), evaluator)));
      },
    };
  };
}

function ofNonZeroValue(value: unknown): Optional {
  return isZero(value) ? Optional.none() : Optional.of(value);
}

function isZero(value: unknown): boolean {
  if (value instanceof UnsignedInt) return value.value === 0n;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  if (typeof value === 'object' && value !== null) return Object.getPrototypeOf(value) === Object.prototype && Object.keys(value).length === 0;
  return !value;
}

export const optionalLibrary: Library = {
  functions: [
    { signature: 'OptionalNamespace.ofNonZeroValue(dyn): optional<dyn>', handler: (_namespace: never, value: unknown) => ofNonZeroValue(value) },
    { signature: 'OptionalNamespace.unwrap(list): list', handler: (_namespace: never, list: readonly unknown[]) => unwrap(list) },
    { signature: 'optional.optMap(ast, ast): optional<dyn>', handler: mapMacro((result) => Optional.of(result)) },
    { signature: 'optional.optFlatMap(ast, ast): optional<dyn>', handler: mapMacro((result) => result) },
  ],
};
