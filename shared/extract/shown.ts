import { redact } from '../admission/credentials.ts';
import { KollectError } from '../errors.ts';

/** Quotes what the user wrote, shortened and without what looks like a credential. */
export function shown(text: string): string {
  const safe = redact(text);
  return JSON.stringify(safe.length > 80 ? `${safe.slice(0, 77)}...` : safe);
}

/**
 * Compiles what the user wrote. Where that fails, the message tells of characters, names and corrections of the text, which no mask could be put over:
 * a text with what looks like a credential gets one that tells of none.
 *
 * @param text short enough to be searched
 */
export function discreetly<T>(text: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof KollectError) || redact(text) === text) throw error;
    throw new KollectError(error.code, 'cannot be read, and holds what looks like a credential, so that no part of it is repeated here; write it without the credential to learn more');
  }
}
