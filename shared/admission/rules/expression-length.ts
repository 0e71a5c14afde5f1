/**
 * Characters of all expressions of one object. The slowest to compile take some 3 µs a character, so that an object takes at most a tenth of a
 * second, once; the largest sensible profiles have a quarter of it.
 */
export const maxExpressionLength = 32_768;
