/** A text to judge. */
export interface Source {
  /** As messages name it: its path, or `stdin`. */
  name: string;
  text: string;
  /** Lines of its file that stand before the text; none when unset. */
  linesBefore?: number;
  /** Why there is no text; it is judged as unreadable. */
  problem?: string;
  /** True when it was asked for by name; what was merely found in a folder may be no object at all. */
  isNamed: boolean;
}
