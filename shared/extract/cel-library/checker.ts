/** The parts of the checker and evaluator of cel-js that a macro is given. It is no public interface: the version is pinned. */
export interface CheckedType {
  kind: string;
  keyType?: CheckedType;
  valueType?: CheckedType;
}

export interface Scope {
  forkWithVariable(name: string, type: CheckedType): Scope;
  reuse(parent: Scope): Scope;
  setIterValue(value: unknown, evaluator: Evaluator): Scope;
}

export interface Node {
  op: string;
  args: unknown;
}

export interface Checker {
  check(node: Node, scope: Scope): CheckedType;
  getType(name: string): CheckedType;
}

export interface Evaluator {
  run(node: Node, scope: Scope): unknown;
}

/** What a macro makes of a call. `receiver`, `exp` and `arg` are where the instrumentation looks for what it runs. */
export interface Macro<Self> {
  receiver: Node;
  exp: Node;
  arg?: Node | undefined;
  typeCheck: (checker: Checker, macro: Self, scope: Scope) => CheckedType;
  evaluate: (evaluator: Evaluator, macro: Self, scope: Scope) => unknown;
}

export interface MacroCall {
  receiver: Node;
  args: readonly Node[];
}
