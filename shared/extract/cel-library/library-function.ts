/** A function that CEL expressions may call beyond the standard ones, with Kubernetes' semantics. */
export interface LibraryFunction {
  /** As the environment registers it, such as `list.min(): dyn`. */
  signature: string;
  handler: (...operands: never[]) => unknown;
}

/** A type of values that only library functions make. */
export interface LibraryType {
  name: string;
  ctor: abstract new (...args: never[]) => object;
}

/** The functions of one library, the types they work on, and the namespaces that their names begin with: `sets` in `sets.contains(a, b)`. */
export interface Library {
  functions: readonly LibraryFunction[];
  types?: readonly LibraryType[];
  namespaces?: readonly string[];
}
