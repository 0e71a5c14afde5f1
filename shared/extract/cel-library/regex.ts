import { compileRegex } from '../cel-regex.ts';
import type { Library } from './library-function.ts';

/** Regular expressions beyond `matches()`, on RE2. */
export const regexLibrary: Library = {
  functions: [
    { signature: 'string.find(string): string', handler: (text: string, pattern: string) => compileRegex(pattern).findAll(text, 1)[0] ?? '' },
    { signature: 'string.findAll(string): list<string>', handler: (text: string, pattern: string) => compileRegex(pattern).findAll(text, -1) },
    { signature: 'string.findAll(string, int): list<string>', handler: (text: string, pattern: string, limit: bigint) => compileRegex(pattern).findAll(text, Number(limit)) },
  ],
};
