/** What an option of a sink may be, without blanks around it. */
export interface OptionForm {
  isValid(value: string): boolean;
  /** What to write, behind the name of the option. */
  wish: string;
}

/** One of some words, as they are written unless `inAnyCase`. */
export function oneOf(words: readonly string[], { inAnyCase = false, why = '' } = {}): OptionForm {
  const isValid = (value: string): boolean => words.some((word) => word === value || (inAnyCase && word.toLowerCase() === value.toLowerCase()));
  return { isValid, wish: `must be one of ${words.join(', ')}${why && `; ${why}`}` };
}

/** A number of things, at least one. */
export function countTo(most: number): OptionForm {
  return { isValid: (value) => /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= most, wish: `must be a number from 1 to ${most}` };
}
